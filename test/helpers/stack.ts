import * as z from 'zod';

const TestStack = z.object({
  dataDir: z.string(),
  postgresUrl: z.url(),
  redisUrl: z.url(),
  mail: z.object({ host: z.string(), port: z.int() }),
  mailboxUrl: z.url(),
  firehoseUrl: z.url(),
});

/** The servers that one run of the tests shares; whoever starts the run starts them. */
export type TestStack = z.output<typeof TestStack>;

/** The database that every test database is a copy of: migrated once for the run, never written to. */
export const TEMPLATE_DATABASE = 'rollcall_template';

/** The servers of this run. @throws when the tests were not started by `npm test`. */
export function testStack(): TestStack {
  const given = process.env['TEST_STACK'];
  if (!given) throw new Error('TEST_STACK is not set: start the tests with `npm test`');
  return TestStack.parse(JSON.parse(given));
}
