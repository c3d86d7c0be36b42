import test from 'ava';
import { readPersonalData } from '../../dev/documents/yaml-data.js';
import { shareProcess, useContext } from '../helpers/context.js';

shareProcess();

const context = useContext();

test('S38 what is said of personal data names every table once', async (t) => {
  const tables = await context.rows<{ name: string }>(
    `select relname as name from pg_class
      where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition`,
  );
  const places = (await readPersonalData()).map(({ where }) => where).join();
  t.deepEqual(
    [...places.matchAll(/`([a-z_]+)`/g)].map(([, name = '']) => name).toSorted(),
    tables.map(({ name }) => name).toSorted(),
  );
});
