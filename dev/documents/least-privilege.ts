/** What the API's role in PostgreSQL needs: rows, and no tables. Run by the role that migrates, which owns the tables. */
export const databaseGrants = (role: string): readonly string[] => [
  `grant usage on schema public to ${role}`,
  `grant select, insert, update, delete on all tables in schema public to ${role}`,
  `grant usage on all sequences in schema public to ${role}`,
  `alter default privileges in schema public grant select, insert, update, delete on tables to ${role}`,
  `alter default privileges in schema public grant usage on sequences to ${role}`,
];

/** The rules of a user of Redis (`ACL SETUSER NAME on >PASSWORD …`): our keys alone, and nothing that administers. */
export const redisRules: readonly string[] = [
  '~{mail}:*',
  '~{logs}:*',
  '~{throttle}:*',
  '+@all',
  '-@admin',
  '-@dangerous',
  '+info',
];
