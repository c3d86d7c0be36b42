import type { CreationOptional, InferAttributes, InferCreationAttributes } from 'sequelize';
import { Column, DataType, ForeignKey, Model, Table } from './sequelize-typescript.js';
import { Admin } from './admin.js';
import { CreatedAtColumn, IdentityKey, UpdatedAtColumn } from './columns.js';

/** A person managed by an admin. Users don't log in. The e-mail address is unique per admin. */
@Table({ tableName: 'users', underscored: true })
export class User extends Model<InferAttributes<User>, InferCreationAttributes<User>> {
  @IdentityKey
  declare id: CreationOptional<number>;

  @ForeignKey(() => Admin)
  @Column({ type: DataType.INTEGER, allowNull: false })
  declare adminId: number;

  @Column({ type: DataType.TEXT, allowNull: false })
  declare email: string;

  @Column({ type: DataType.TEXT, allowNull: false })
  declare emailCanonical: string;

  @Column(DataType.TEXT)
  declare name: CreationOptional<string | null>;

  @Column({ type: DataType.BOOLEAN, allowNull: false, defaultValue: true })
  declare active: CreationOptional<boolean>;

  @CreatedAtColumn
  declare createdAt: CreationOptional<Date>;

  @UpdatedAtColumn
  declare updatedAt: CreationOptional<Date>;
}
