import test from 'ava';
import { shareProcess, useContext } from '../helpers/context.js';
import { runCli } from './run-cli.js';

shareProcess();

const context = useContext();

test('doctor tells of a task that fails', async (t) => {
  await context.rows(
    `insert into task_runs (task, finished_at, outcome, error, result)
     values ('rotate-audit', now(), 'failed', 'permission denied', '{"failed_in_a_row": 3}')`,
  );
  const { stdout } = await runCli(context, ['doctor']);
  t.regex(
    stdout,
    /^PROBLEM {2}processes +A periodic task fails: rotate-audit failed 3 times in a row: permission denied$/m,
  );
});
