import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPgbouncer } from '../../dev/stack/postgres/pgbouncer.js';
import type { Scope, TestContext } from './context.js';

/** Opens a pooler in transaction mode before the file's database; resolves to the database's URL behind it. */
export async function openPooler(
  scope: Scope,
  { databaseUrl }: TestContext,
  { poolSize = 20 } = {},
): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'rollcall-pgbouncer-'));
  scope.teardown(() => rm(dataDir, { recursive: true, force: true }));
  const pooler = await openPgbouncer({ databaseUrl, dataDir, poolSize });
  scope.teardown(() => pooler.close());
  return pooler.urlFor(databaseUrl);
}
