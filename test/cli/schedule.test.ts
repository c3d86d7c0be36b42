import test from 'ava';
import { shareProcess, useContext } from '../helpers/context.js';
import { runCli, runCliJson } from './run-cli.js';

shareProcess();

const context = useContext();

test('the counts of a run that an earlier version recorded have the names of today', async (t) => {
  await context.rows(
    `insert into task_runs (task, started_at, finished_at, worker, outcome, result)
     values ('sweep-outbox', now(), now(), 'host:1', 'completed', '{"checked": 2, "deadLettered": 1}')`,
  );
  t.like((await runCliJson(context, ['schedule'])).json, {
    tasks: [{ result: { checked: 2, dead_lettered: 1 } }],
  });
  t.regex((await runCli(context, ['schedule'])).stdout, /: 2 checked, 1 dead lettered$/m);
});
