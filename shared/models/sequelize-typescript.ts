/**
 * The parts of sequelize-typescript that the product uses. The package is loaded with `require`: an `import` of it parses
 * every one of its files for the names that they export, before it runs them.
 */
import sequelizeTypescript = require('sequelize-typescript');

export import Column = sequelizeTypescript.Column;
export import CreatedAt = sequelizeTypescript.CreatedAt;
export import DataType = sequelizeTypescript.DataType;
export import ForeignKey = sequelizeTypescript.ForeignKey;
export import Model = sequelizeTypescript.Model;
export import Sequelize = sequelizeTypescript.Sequelize;
export import Table = sequelizeTypescript.Table;
export import UpdatedAt = sequelizeTypescript.UpdatedAt;
