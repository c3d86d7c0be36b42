import test from 'ava';
import { shareProcess, useContext } from '../helpers/context.js';
import { runCliJson } from './run-cli.js';

shareProcess();

const context = useContext();

/** What the doctor says of the ids; undefined when nothing. */
async function findingOf(): Promise<unknown> {
  const { json } = await runCliJson(context, ['doctor']);
  const checks = json['checks'] as readonly { readonly check: string }[];
  return checks.find(({ check }) => check === 'ids');
}

const useIds = (sequence: string, last: number): Promise<unknown> =>
  context.rows('select setval($1::regclass, $2)', [sequence, last]);

test.serial('doctor tells of ids from half of them on, and fails at 80 %', async (t) => {
  t.is(await findingOf(), undefined);
  await useIds('users_id_seq', 1_073_000_000);
  t.is(await findingOf(), undefined);
  await useIds('users_id_seq', 1_074_000_000);
  t.like(await findingOf(), { ok: true, found: 'used up: 50 % of users.id' });
  await useIds('sessions_id_seq', 1_718_000_000);
  t.like(await findingOf(), {
    ok: false,
    found: 'used up: 80 % of sessions.id, 50 % of users.id',
    advice: 'When none is left, every insert into the table fails. See the runbook: Ids run out.',
  });
});

test.serial('a sequence that is wider than its column counts by the column', async (t) => {
  await useIds('sessions_id_seq', 1);
  await useIds('users_id_seq', 1);
  await context.rows('alter sequence admins_id_seq as bigint maxvalue 9000000000');
  await useIds('admins_id_seq', 2_147_483_647);
  t.like(await findingOf(), { ok: false, found: 'used up: 100 % of admins.id' });
});
