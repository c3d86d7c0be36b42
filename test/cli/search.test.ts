import test from 'ava';
import { shareProcess, useContext } from '../helpers/context.js';
import { insertAdmin } from '../workers/fixture.js';
import { runCli, runCliJson, runCliProcess } from './run-cli.js';

shareProcess();

const context = useContext();

test('a user is found by its stored name in every script, however it is typed', async (t) => {
  const { adminId } = await insertAdmin(context);
  for (const name of ['İpek Yıldız', 'Ärz', 'ΟΔΥΣΣΕΥΣ', 'Groß'])
    await context.rows(
      `insert into users (admin_id, email, email_canonical, name) values ($1, $2, $2, $3)`,
      [adminId, context.uniqueAddress(), name],
    );
  for (const [text, name] of [
    ['İpek', 'İpek Yıldız'],
    ['İPEK', 'İpek Yıldız'],
    ['A\u0308rz', 'Ärz'],
    ['ärz', 'Ärz'],
    ['ΟΔΥΣΣΕΥΣ', 'ΟΔΥΣΣΕΥΣ'],
    ['gro', 'Groß'],
  ] as const) {
    const { json } = await runCliJson(context, ['users', 'search', text]);
    t.like(json['users'], [{ name }], text);
  }
});

test('a time without a zone is in UTC, wherever the operator is', async (t) => {
  await context.rows(
    `insert into audit_events (id, at, event) values (gen_random_uuid(), '2026-03-04T12:00:00Z', 'task_requested')`,
  );
  const search = async (since: string, until: string): Promise<number> => {
    const args = ['audit', '--since', since, '--until', until, '--json'];
    const { stdout } = await runCliProcess(t, context, args, { TZ: 'America/New_York' });
    return (JSON.parse(stdout) as { events: object[] }).events.length;
  };
  t.is(await search('2026-03-04T11:59', '2026-03-04T12:01'), 1);
  t.is(await search('2026-03-04T06:59-05:00', '2026-03-04T07:01:00-05:00'), 1);
  t.is(await search('2026-03-04', '2026-03-04T11:59'), 0);
});

test('what is not wholly a time is refused', async (t) => {
  for (const since of ['2026-11-30 17:41', '2026-11-30T17:41 (any junk)', '2026-11-30T17:41 EST']) {
    const { code, stderr } = await runCli(context, ['audit', '--since', since]);
    t.is(code, 64, since);
    t.regex(stderr, /^--since must be a time such as /, since);
  }
});
