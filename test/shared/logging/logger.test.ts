import { hostname } from 'node:os';
import test from 'ava';
import { createLogger } from '../../../shared/logging/logger.js';
import { startProgram, type LogLine } from '../../helpers/processes.js';

let text = '';
let lines: LogLine[] = [];

/** The program ends by itself, and hooks have no teardown. */
const noScope = { teardown: () => undefined };

test.before('write the lines in another process', async (t) => {
  const program = startProgram('dist/test/shared/logging/programs/write-lines.js', {}, noScope);
  t.deepEqual(await program.waitForExit(), { code: 0, signal: null });
  t.is(program.stderr(), '');
  text = program.stdout();
  lines = program.logLines();
});

const lineOf = (message: string): LogLine => {
  const found = lines.filter((line) => line['message'] === message);
  if (found.length !== 1) throw new Error(`${found.length} lines say "${message}"`);
  return found[0] ?? {};
};

test('each line is one flat JSON object that ends in a newline', (t) => {
  t.true(text.endsWith('\n'));
  t.is(lines.length, 7);
  for (const line of lines) {
    for (const value of Object.values(line)) t.not(typeof value, 'object', JSON.stringify(line));
  }
});

test('each line has the fields that ECS requires of every event', (t) => {
  for (const line of lines) {
    const time = String(line['@timestamp']);
    t.is(new Date(time).toISOString(), time);
    t.regex(String(line['log.level']), /^(debug|info|warn|error)$/);
    t.is(line['service.name'], 'rollcall-test');
    t.is(line['service.environment'], 'test');
    t.regex(String(line['service.version']), /^\d+\.\d+\.\d+/);
    t.is(line['host.name'], hostname());
    t.is(typeof line['process.pid'], 'number');
  }
});

test('no two lines share an event id', (t) => {
  t.is(new Set(lines.map((line) => line['event.id'])).size, lines.length);
  for (const line of lines) t.regex(String(line['event.id']), /^[0-9a-f-]{36}$/);
});

test('fields keep their names and types', (t) => {
  const { 'user.id': userId, 'event.duration': duration } = lineOf('with fields');
  t.deepEqual([userId, duration], [7, 1_500_000]);
});

test('lines below the level are not written', (t) => {
  t.false(text.includes('below the level'));
});

test('line breaks, escape codes and quotes in a value stay inside their line', (t) => {
  const line = lineOf('hostile');
  t.is(line['log.level'], 'warn');
  t.is(line['user_agent.original'], 'a\n{"log.level":"fatal"}\r\u001B[2J\u2028b\u0000');
  t.is(line['text'], '"}');
  const raw = text.split('\n').find((candidate) => candidate.includes('hostile')) ?? '\n';
  t.notRegex(raw, /\p{Cc}/u);
});

test('an error becomes flat fields with its causes, beside the other fields', (t) => {
  const line = lineOf('an error');
  t.is(line['error.type'], 'TypeError');
  t.is(line['error.message'], 'could not save: connection refused');
  t.regex(String(line['error.stack_trace']), /write-lines\.(ts|js):\d+/);
  t.is(line['labels.try'], 2);
  t.false('err' in line);
});

test('an error’s code and name are kept, and a thrown text too', (t) => {
  const { 'error.code': code, 'error.type': type } = lineOf('an error with a code');
  t.deepEqual([code, type], ['ECONNREFUSED', 'NetworkError']);
  t.is(lineOf('a thrown text')['error.message'], 'just a text');
});

test('a child’s fields are on its own lines only', (t) => {
  t.is(lineOf('of a child')['http.request.id'], 'request-1');
  t.is(lines.filter((line) => 'http.request.id' in line).length, 1);
});

test('a destination receives each line unchanged; a fatal one is flushed', (t) => {
  const received: string[] = [];
  const log = createLogger<string>({
    service: 'rollcall-test',
    environment: 'test',
    level: 'error',
    destination: {
      write: (line) => void received.push(line),
      flushSync: () => void received.push('flushed'),
    },
  });
  log.error({ 'labels.from': 'the test itself' }, 'received');
  log.warn('below the level');
  log.fatal('the last one');
  t.is(received.length, 3);
  t.true(received[0]?.endsWith('}\n'));
  t.is((JSON.parse(received[0] ?? '') as LogLine)['message'], 'received');
  t.is(received[2], 'flushed');
});
