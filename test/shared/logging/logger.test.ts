import { hostname } from 'node:os';
import test from 'ava';
import { createLogThrottle } from '../../../shared/logging/log-throttle.js';
import { createLogger } from '../../../shared/logging/logger.js';
import { maskPath, maskTokensAndAddresses } from '../../../shared/logging/mask.js';
import { startProgram, type LogLine } from '../../helpers/processes.js';
import { shareProcess } from '../../helpers/context.js';

shareProcess();

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
  log.members('warn', '', 'below the level');
  log.fatal('the last one');
  t.is(received.length, 3);
  t.true(received[0]?.endsWith('}\n'));
  t.is((JSON.parse(received[0] ?? '') as LogLine)['message'], 'received');
  t.is(received[2], 'flushed');
});

test('members that are JSON already make the same line as an object', (t) => {
  const received: LogLine[] = [];
  const log = createLogger<string>({
    service: 'rollcall-test',
    environment: 'test',
    level: 'info',
    destination: { write: (line) => void received.push(JSON.parse(line) as LogLine) },
  });
  log.warn({ 'user.id': '7', 'url.path': '/"' }, 'request');
  log.members('warn', `,"user.id":"7","url.path":${JSON.stringify('/"')}`, 'request');
  const [one, other] = received.map(({ '@timestamp': _time, 'event.id': _id, ...line }) => line);
  t.deepEqual(one, other);
  t.not(received[0]?.['event.id'], received[1]?.['event.id']);
  t.is(typeof received[1]?.['@timestamp'], 'string');
  t.is(received.length, 2);
});

const TOKEN = `ct_${'0f'.repeat(16)}_${'aB3_-'.repeat(8)}xyz`;

test('tokens and addresses in a path are masked, and the text around them stays readable', (t) => {
  for (const [path, masked] of [
    [`/auth/confirm%3Ftoken=${TOKEN}`, '/auth/confirm?token=[token]'],
    [`/auth/confirm/${TOKEN.replaceAll('_', '%5F')}/x`, '/auth/confirm/[token]/x'],
    ['/users/ann@x.test', '/users/[address]'],
    ['/users/ann%2540x.test%20%0A%E2%82%AC', '/users/[address]%20%0A%E2%82%AC'],
    ['/users/%C3%A4nn@%C3%B6.test', '/users/[address]'],
  ] as const)
    t.is(maskPath(path), masked);
});

test('an address with a quoted local part is masked, encoded or not', (t) => {
  for (const [path, masked] of [
    ['/users/"ann"@example.com', '/users/[address]'],
    ['/users/%22ann%20lee%22%40example.com/x', '/users/[address]/x'],
    ['/users/%2522ann/lee%2522@example.com', '/users/[address]'],
    [String.raw`/users/"a\"n@n\\"@example.com`, '/users/[address]'],
    ['/users/%22a%5C%22nn%22@%C3%B6.test', '/users/[address]'],
    ['/"ann"@x.test/"bob"@y.test', '/[address]/[address]'],
    ['/5"/x"/"ann"@x.test', '/5"/x"/[address]'],
    ['/"ann@x.test"/bob@y.test"', '/"[address]"/[address]"'],
    ['/"ann@x.test', '/"[address]'],
  ] as const)
    t.is(maskPath(path), masked);
  const reply = 'no "mailbox" of "ann lee"@x.test, <"ann@x.test">';
  t.is(maskTokensAndAddresses(reply), 'no "mailbox" of [address], <"[address]">');
  for (const path of ['/"@"', '/"ann"', '/"ann"@']) t.is(maskPath(path), path);
});

test('an address with a slash is masked whole, and a scoped package is none', (t) => {
  for (const [path, masked] of [
    ['/users/ann%2Flee@x.test', '/users/[address]'],
    ['/users/ann%252flee%2540x.test/y', '/users/[address]/y'],
    ['/users/ann%2F@x.test', '/users/[address]'],
    ['/users/ann/@x.test', '/users/ann/[address]'],
    ['/a%2Fb/@scope/c', '/a%2Fb/@scope/c'],
  ] as const)
    t.is(maskPath(path), masked);
  for (const address of ['ann/lee@x.test', 'ann/@x.test', '/G=Ann/S=Lee/@x.test', 'a/b=40x.test'])
    t.is(maskTokensAndAddresses(`550 <${address}> unknown`), '550 <[address]> unknown');
  const frame = '    at file:///srv/node_modules/@scope/package/index.js:1:2';
  t.is(maskTokensAndAddresses(frame), frame);
});

test('an address is masked in every form in which a path or a reply may hold it', (t) => {
  for (const path of [
    ...['victim%E9%40example.com', 'vict%E9im%40example.com', 'vi%CC%88ctim%40example.com'],
    ...['%F0%9F%98%80victim%40example.com', 'victim%E2%80%8B@example.com', 'victim@ex%E9.com'],
    ...['victim=40example.com', 'victim%3D40mail.example.com', 'victim%253d40example.com'],
    ...['victim%EF%BC%A0example.com', 'victim%EF%B9%ABlocalhost', 'victim@%5B1.2.3.4%5D'],
    ...['victim@[IPv6:2001:db8::1]', '%22vic%20tim%22@[1.2.3.4]', '%22vic%20tim%22=40example.com'],
  ])
    t.is(maskPath(`/x/${path}/y`), '/x/[address]/y', path);
  for (const address of [
    ...['victim\ufffd@example.com', 'victim=40example.com', 'victim%40example.com'],
    ...['victim%2540example.com', 'victim\uff20example.com', 'victim@[1.2.3.4]', 'victim@[1.2.3'],
  ])
    t.is(maskTokensAndAddresses(`550 <${address}> unknown`), '550 <[address]> unknown', address);
  for (const other of [
    'limit=40 offset=400',
    'took=40.5ms',
    '=40',
    '40=40x',
    '[1.2.3.4] @ [::1]',
    '5＠',
  ])
    t.is(maskTokensAndAddresses(other), other);
});

test('all of several in one run of characters are masked', (t) => {
  const jwt = `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0NzExIn0.${'aB3_-'.repeat(8)}`;
  for (const [path, masked] of [
    [`/${jwt}/${jwt}`, '/[token]/[token]'],
    [`/eyJ-eyJhbGci-${jwt}.x`, '/[token].x'],
    [`/x.eyJhbGci.${jwt}`, `/x.[token].${'aB3_-'.repeat(8)}`],
    ['/a.b+c@x.test/d@y.test', '/[address]/[address]'],
    ['/a@b@c.test@', '/[address]@c.test@'],
    [`/rt_1_2_${'a'.repeat(43)}@x`, '/[token]@x'],
    [`/rt_1_rt_1_2_${'a'.repeat(43)}`, '/rt_1_[token]'],
  ] as const)
    t.is(maskPath(path), masked);
});

test('a token or an address that is cut by the limit is removed whole', (t) => {
  const long = `/${'x'.repeat(2_019)}/ann.of.the.long.name@x.test`;
  t.is(maskPath(long), `/${'x'.repeat(2_019)}/[address]`);
  t.is(maskPath(`/y${long}`), `/y/${'x'.repeat(2_019)}/`);
  t.is(maskPath(`/${'a'.repeat(4_000)}@x.test`), '/');
});

test('any other path is unchanged, up to 2,048 characters', (t) => {
  for (const path of ['/', '', '/users/12', '/%E0%A4%A', '/%', '/%00%0a', '/@', '/a%40', '*'])
    t.is(maskPath(path), path);
  t.is(maskPath('/x'.repeat(5_000)), `${'/x'.repeat(1_023)}/`);
  t.is(maskPath(`/${'a'.repeat(2_047)}`).length, 2_048);
});

test('the first of each kind is logged, the same again only after the interval', (t) => {
  const isDue = createLogThrottle(Infinity);
  t.true(isDue('connect ECONNREFUSED 127.0.0.1:6379'));
  t.false(isDue('connect ECONNREFUSED 127.0.0.1:6379'));
  t.true(isDue('read ECONNRESET'));
  const always = createLogThrottle(0);
  t.deepEqual([always('x'), always('x')], [true, true]);
});

test('texts that differ only in numbers are of one kind', (t) => {
  const isDue = createLogThrottle(Infinity);
  t.true(isDue('no answer after 1001 ms'));
  t.false(isDue('no answer after 999 ms'));
});

test('of endlessly many kinds those that were logged last are remembered', (t) => {
  const isDue = createLogThrottle(Infinity);
  const kinds = Array.from(
    { length: 600 },
    (_, i) => `no answer from ${'x'.repeat(i % 30)}${'y'.repeat(i / 30)}`,
  );
  for (const kind of kinds) t.true(isDue(kind));
  t.false(isDue(kinds[599] ?? ''));
  t.true(isDue(kinds[0] ?? ''), 'forgotten');
});

const PROGRAM = 'dist/test/shared/logging/programs/print-strays.js';

test('what libraries and Node print is logged, and nothing is written to stderr', async (t) => {
  const program = startProgram(PROGRAM, {}, t);
  t.deepEqual(await program.waitForExit(), { code: 0, signal: null });
  t.is(program.stderr(), '');
  t.deepEqual(
    program.logLines().map((line) => [line['log.level'], line['message'], line['error.message']]),
    [
      ['info', 'console output captured', 'one two'],
      ['debug', 'console output captured', '{ three: 3 }'],
      ['warn', 'console output captured', 'several\nlines'],
      ['error', 'console output captured', program.logLines()[3]?.['error.message']],
      ['warn', 'Node.js warning', 'five'],
    ],
  );
  t.regex(String(program.logLines()[3]?.['error.message']), /^Error: four\n/);
  t.is(program.logLines()[4]?.['error.code'], 'DEP9999');
});
