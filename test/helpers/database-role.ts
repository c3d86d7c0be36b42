import type { Scope, TestContext } from './context.js';

/** Makes a role in PostgreSQL with these grants and no others, for as long as the scope lasts; resolves to the URL with it. */
export async function makeDatabaseRole(
  scope: Scope,
  { id, rows, databaseUrl }: TestContext,
  grants: (role: string) => readonly string[],
): Promise<string> {
  await rows(`create role ${id} login password '${id}'`);
  for (const grant of grants(id)) await rows(grant);
  scope.teardown(async () => {
    await rows(`drop owned by ${id}`);
    await rows(`drop role ${id}`);
  });
  return Object.assign(new URL(databaseUrl), { username: id, password: id }).href;
}
