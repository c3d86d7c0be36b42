import test from 'ava';
import { DataType } from 'sequelize-typescript';
import type { ModelStatic, Model } from 'sequelize';
import { models } from '../../shared/models/index.js';
import type { Database } from '../../shared/database/connect.js';
import { useContext } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { columnsOf, type ColumnFacts } from '../helpers/schema.js';

const context = useContext();

let database: Database;
let columns: ColumnFacts[];
test.serial.before('read the schema', async () => {
  database = openTestDatabase(context, context.databaseUrl);
  columns = await columnsOf(context);
});

/** How a model's type is stored. */
const storedAs: ReadonlyMap<string, string> = new Map([
  [DataType.INTEGER.key, 'integer'],
  [DataType.BIGINT.key, 'bigint'],
  [DataType.TEXT.key, 'text'],
  [DataType.BOOLEAN.key, 'boolean'],
  [DataType.DATE.key, 'timestamp with time zone'],
  [DataType.UUID.key, 'uuid'],
  [DataType.JSONB.key, 'jsonb'],
  [DataType.BLOB.key, 'bytea'],
  [DataType.ARRAY.key, 'ARRAY'],
]);

const tableOf = (model: ModelStatic<Model>): string => model.tableName;

test('every table has a model and every model a table', (t) => {
  t.deepEqual(
    models.map(({ tableName }) => tableName).toSorted(),
    [...new Set(columns.map(({ table }) => table))].toSorted(),
  );
});

for (const model of models as readonly ModelStatic<Model>[]) {
  test(`${model.name}: every column is in the model and every attribute in the table`, (t) => {
    const attributes = Object.values(model.getAttributes());
    t.deepEqual(
      attributes.map(({ field = '' }) => field).toSorted(),
      columns
        .filter(({ table }) => table === tableOf(model))
        .map(({ column }) => column)
        .toSorted(),
    );
  });

  test(`${model.name}: types and nullability agree`, (t) => {
    for (const { field, type, allowNull, primaryKey } of Object.values(model.getAttributes())) {
      const column = columns.find((each) => each.table === tableOf(model) && each.column === field);
      const name = `${tableOf(model)}.${field}`;
      const key = typeof type === 'string' ? type : type.key;
      t.is(column?.type, storedAs.get(key), name);
      t.is(column?.isNullable, allowNull !== false && primaryKey !== true, `${name} may be null`);
    }
  });

  test(`${model.name}: a row can be read through the model`, async (t) => {
    t.true(database.isDefined(model.name));
    t.deepEqual(await model.findAll({ limit: 1 }), []);
  });
}
