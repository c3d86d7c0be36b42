import { EventEmitter, once } from 'node:events';
import { createServer, get, Agent, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { createFailpoint, failpointNames } from '../../../shared/lifecycle/failpoint.js';
import { closeServer, listen } from '../../../shared/lifecycle/http-server.js';
import { startRepeating } from '../../../shared/lifecycle/repeat.js';
import { waitAtMost } from '../../../shared/lifecycle/wait-at-most.js';
import { shareProcess, type Scope } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { startProgram, type TestProcess } from '../../helpers/processes.js';
import { openConnection, readAnswer } from '../../helpers/raw-http.js';

shareProcess();

const ALL_RELEASED = ['released third', 'releasing second', 'released second', 'released first'];

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal}: everything is released in reverse order, one after another, and the process ends with 0`, async (t) => {
    const program = await startReady(t, ['']);
    program.send(signal);
    t.deepEqual(await program.waitForExit(), { code: 0, signal: null });
    t.deepEqual(words(program), ['ready', ...ALL_RELEASED]);
    t.deepEqual(logged(program), ['shutdown started']);
  });
}

test('a second signal ends a stop that hangs', async (t) => {
  const program = await startReady(t, ['hang']);
  program.send('SIGTERM');
  await eventually(() => words(program).includes('releasing second'));
  program.send('SIGTERM');
  t.deepEqual(await program.waitForExit(), { code: 0, signal: null });
  t.false(words(program).includes('released first'));
});

test('past the deadline a stop that hangs is given up, and the log says so', async (t) => {
  const program = await startReady(t, ['hang', '50']);
  program.send('SIGTERM');
  t.deepEqual(await program.waitForExit(), { code: 0, signal: null });
  t.deepEqual(logged(program), ['shutdown started', 'shutdown deadline exceeded']);
});

test('a release that fails is logged, and the others still get their turn', async (t) => {
  const program = await startReady(t, ['fail']);
  program.send('SIGTERM');
  t.deepEqual(await program.waitForExit(), { code: 0, signal: null });
  t.true(words(program).includes('released first'));
  t.deepEqual(logged(program), ['shutdown started', 'resource release failed']);
});

for (const [what, scenario] of [
  ['an error that escapes', 'throw'],
  ['a rejection that nobody handles', 'reject'],
] as const) {
  test(`${what} releases everything and ends the process with 1`, async (t) => {
    const program = start(t, [scenario]);
    t.deepEqual(await program.waitForExit(), { code: 1, signal: null });
    t.deepEqual(words(program).slice(-4), ALL_RELEASED);
    t.deepEqual(logged(program), ['uncaught exception', 'shutdown started']);
  });
}

test('a signal that comes while an error is ending the process does not turn its 1 into a 0', async (t) => {
  const program = start(t, ['throw and hang']);
  await eventually(() => words(program).includes('ready'));
  program.send('SIGTERM');
  t.deepEqual(await program.waitForExit(), { code: 1, signal: null });
});

test('isStopping is true from the first release on', async (t) => {
  const program = await startReady(t, ['ask']);
  program.send('SIGTERM');
  await program.waitForExit();
  t.deepEqual(
    words(program).filter((word) => word.startsWith('isStopping')),
    ['isStopping false', 'isStopping true'],
  );
});

test('stopping twice stops once', async (t) => {
  const program = start(t, ['stop twice']);
  t.deepEqual(await program.waitForExit(), { code: 0, signal: null });
  t.deepEqual(words(program), ALL_RELEASED);
  t.deepEqual(logged(program), ['shutdown started']);
});

function start(t: ExecutionContext, args: string[]): TestProcess {
  return startProgram('dist/test/shared/lifecycle/programs/stop-as-told.js', {}, t, args);
}

async function startReady(t: ExecutionContext, args: string[]): Promise<TestProcess> {
  const program = start(t, args);
  await eventually(() => words(program).includes('ready'));
  return program;
}

const words = (program: TestProcess): string[] => program.stdout().split('\n').slice(0, -1);
const logged = (program: TestProcess): string[] => program.stderr().split('\n').slice(0, -1);

const HOUR_MS = 3_600_000;

test('turns follow one another; a stop waits for the one under way and lets no other begin', async (t) => {
  let turns = 0;
  let hasEnded = false;
  const repeating = startRepeating(async (signal) => {
    turns += 1;
    if (turns < 3) return 1;
    await once(signal, 'abort');
    hasEnded = true;
    return 1;
  }, 1);
  await eventually(() => turns === 3);
  await repeating.stop();
  t.true(hasEnded);
  await repeating.stop();
  t.is(turns, 3);
});

test('without a first pause the first turn begins at once; stopped before it, none does', async (t) => {
  let turns = 0;
  const turn = async (): Promise<number> => {
    turns += 1;
    return HOUR_MS;
  };
  const atOnce = startRepeating(turn, 0);
  t.is(turns, 1);
  await atOnce.stop();
  await startRepeating(turn, HOUR_MS).stop();
  t.is(turns, 1);
});

test('a pause that is not to be waited for does not keep the process', async (t) => {
  const program = startProgram('dist/test/shared/lifecycle/programs/repeat-unref.js', {}, t);
  t.deepEqual(await program.waitForExit(), { code: 0, signal: null });
  t.is(program.stdout(), 'a turn\n');
});

const PROGRAM = 'dist/test/shared/lifecycle/programs/pass-failpoints.js';

test('work that ends in time has its result, and its error is thrown', async (t) => {
  t.is(await waitAtMost(LONG_MS, Promise.resolve('done')), 'done');
  await t.throwsAsync(waitAtMost(LONG_MS, Promise.reject(new Error('broken'))), {
    message: 'broken',
  });
});

test('work that does not end in time has no result, and its error is ignored', async (t) => {
  const events = new EventEmitter();
  t.is(await waitAtMost(1, once(events, 'end')), undefined);
  events.emit('error', new Error('too late'));
});

test('a process is killed at the armed fail point, not before', async (t) => {
  const program = startProgram(PROGRAM, {}, t, ['after-add']);
  t.deepEqual(await program.waitForExit(), { code: null, signal: 'SIGKILL' });
  t.is(program.stdout(), 'after-commit\n');
});

test('without a fail point nothing happens', (t) => {
  const failpoint = createFailpoint(undefined);
  t.notThrows(() => {
    for (const name of failpointNames) failpoint(name);
  });
});

const LONG_MS = 60_000;

test('a response whose headers were sent before the stop is completed, and its connection closed', async (t) => {
  const { server, port, answers } = await setUp(t);
  const response = ask(t, port);
  const answer = await eventually(() => answers[0]);
  answer.writeHead(200, { 'Content-Type': 'text/plain' }).write('first, ');
  const received = await response;
  t.is(received.headers.connection, 'keep-alive');

  server.closeAllConnections = () => t.fail('the connection was left open');
  const closed = closeServer(server, 10_000);
  answer.end('last');
  t.is(await text(received), 'first, last');
  await closed;
});

test('a response that starts after the stop announces `Connection: close`', async (t) => {
  const { server, port, answers } = await setUp(t);
  const response = ask(t, port);
  const answer = await eventually(() => answers[0]);
  const closed = closeServer(server, LONG_MS);
  answer.end('late');
  const received = await response;
  t.is(received.headers.connection, 'close');
  t.is(await text(received), 'late');
  await closed;
});

test('a request that is complete only after the stop is answered, and its connection closed', async (t) => {
  const { server, port, answers } = await setUp(t);
  const accepted = once(server, 'connection');
  const socket = await openConnection(`http://127.0.0.1:${port}`);
  const [serverSide] = (await accepted) as [Socket];
  socket.write('GET / HTTP/1.1\r\nHost: here\r\n');
  await eventually(() => serverSide.bytesRead > 0);
  const closed = closeServer(server, LONG_MS);
  socket.write('\r\n');
  (await eventually(() => answers[0])).end('late');
  const { headers, body } = await readAnswer(socket);
  t.is(headers.get('connection'), 'close');
  t.is(body, 'late');
  await closed;
});

test('a request that is not answered in time is cut off', async (t) => {
  const { server, port, answers } = await setUp(t);
  const response = ask(t, port);
  await eventually(() => answers[0]);
  const cut = t.throwsAsync(response, { code: 'ECONNRESET' });
  const order: string[] = [];
  const closeAll = server.closeAllConnections.bind(server);
  server.closeAllConnections = () => {
    order.push('cut');
    closeAll();
  };
  const closed = closeServer(server, 20);
  // Timers fire in the order in which they are due, however busy the machine is.
  const later = new Promise<void>((resolve) => {
    setTimeout(() => {
      order.push('a later timer');
      resolve();
    }, 50);
  });
  await Promise.all([closed, cut, later]);
  t.deepEqual(order, ['cut', 'a later timer']);
});

test('closing twice, or a server that never listened, is safe', async (t) => {
  const { server } = await setUp(t);
  await Promise.all([closeServer(server, LONG_MS), closeServer(server, LONG_MS)]);
  await closeServer(server, LONG_MS);
  await closeServer(createServer(), LONG_MS);
  t.pass();
});

async function setUp(scope: Scope) {
  const answers: ServerResponse[] = [];
  const server = createServer((_req, res) => void answers.push(res));
  // Only a stop closes a connection.
  server.keepAliveTimeout = 0;
  const port = await listen(server, 0, '127.0.0.1');
  scope.teardown(() => closeServer(server, 0));
  return { server, port, answers };
}

/** Asks over a connection that the client would keep. */
function ask(scope: Scope, port: number): Promise<IncomingMessage> {
  const agent = new Agent({ keepAlive: true });
  scope.teardown(() => agent.destroy());
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, agent }, resolve).on('error', reject);
  });
}
