import { randomBytes } from 'node:crypto';
import { relative } from 'node:path';
import type { StackDescription } from '../stack/stack-file.js';
import type { Terminal } from './terminal.js';

/** Prints every URL, the operator's login, and what to try first. */
export function printBanner(
  terminal: Terminal,
  stack: StackDescription,
  context: { logsDir: string; seconds: number },
): void {
  const { say, bold, dim, accent } = terminal;
  const row = (name: string, value: string, note = ''): void =>
    say(`  ${name.padEnd(12)}${accent(value)}${note === '' ? '' : `  ${dim(note)}`}`);
  const logs = shortestPath(context.logsDir);

  say();
  say(`  ${bold('Rollcall is ready')} ${dim(`after ${context.seconds.toFixed(1)} s`)}`);
  say();
  row('API', stack.api);
  row('API docs', `${stack.api}/apidocs`, 'log in there with Authorize');
  row('Console', stack.console, 'for operators: mail, queues, audit; log in as below');
  row('Mailbox', stack.mailbox, 'every mail ends here; bounce@simulator.amazonses.com bounces');
  row('Log viewer', stack.firehose, 'what the worker ships to Firehose');
  row('Worker', stack.worker);
  row('PostgreSQL', stack.postgres);
  row('Redis', stack.redis);
  say();
  row('Operator', stack.operator.email);
  row('Password', stack.operator.password);
  say();
  say(`  ${bold('Try it')}`);
  say(`  1. Register  ${dim(registerCommand(stack.api))}`);
  say(
    `  2. Confirm   open the mail at ${accent(stack.mailbox)} and enter the password at its link`,
  );
  say(`  3. Use it    log in at ${accent(`${stack.api}/apidocs`)} and create a user`);
  say(
    `  4. Operate   register ${accent('refuse-once@example.com')}: the mail is refused; redrive it in the console`,
  );
  say();
  say(dim(`  Logs are in ${logs}/api.log and worker.log; warnings and errors are shown here too.`));
  say(dim('  Ctrl-C stops everything; the data stays.'));
  say();
}

function shortestPath(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere.startsWith('..') ? path : fromHere;
}

function registerCommand(api: string): string {
  const body = JSON.stringify({
    email: 'ada@example.com',
    name: 'Ada',
    password: randomBytes(12).toString('base64url'),
  });
  return `curl ${api}/auth/register -H 'content-type: application/json' -d '${body}'`;
}
