import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { requestMembers } from '../../api/http/request-context.js';
import { escapeControls } from '../../shared/escape-controls.js';
import { createLogger } from '../../shared/logging/logger.js';
import { runCli, runCliJson } from '../cli/run-cli.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { bounceOf, mailObject, openSesFixture } from '../workers/ses-fixture.js';

shareProcess();

const context = useContext();

/** What it does to a terminal or a reader, and how it is shown. */
const hostile: readonly (readonly [what: string, text: string, shown: string])[] = [
  ['clears the screen', '\u001b[2J', '\\u001b[2J'],
  ['sets the title', '\u001b]0;owned\u0007', '\\u001b]0;owned\\u0007'],
  ['sets the clipboard', '\u001b]52;c;cm0gLXJm\u001b\\', '\\u001b]52;c;cm0gLXJm\\u001b\\'],
  ['begins a line', 'x\r\nok      postgres', 'x\\u000d\\u000aok      postgres'],
  ['overwrites its line', 'x\rsent', 'x\\u000dsent'],
  ['takes back what was written', 'no\b\b', 'no\\u0008\\u0008'],
  ['moves on', 'a\tb\u000b\u000c', 'a\\u0009b\\u000b\\u000c'],
  ['is CSI in one character', '\u009b2J', '\\u009b2J'],
  ['is OSC in one character', '\u009d0;x\u009c', '\\u009d0;x\\u009c'],
  ['begins a line elsewhere', 'a\u0085b\u2028c\u2029d', 'a\\u0085b\\u2028c\\u2029d'],
  ['turns the writing around', '\u202egpj.exe\u202c', '\\u202egpj.exe\\u202c'],
  ['isolates', '\u2066a\u2069\u061c', '\\u2066a\\u2069\\u061c'],
  ['is not seen', 'a\u200bb\u00adc\ufeffd\u2060e', 'a\\u200bb\\u00adc\\ufeffd\\u2060e'],
  ['is a tag past the BMP', '\u{e0041}', '\\udb40\\udc41'],
  ['deletes', '\u007f', '\\u007f'],
];

test('S69 what controls a terminal or is not seen is escaped, and nothing else', (t) => {
  for (const [what, text, shown] of hostile) {
    t.is(escapeControls(text), shown, what);
    const json = JSON.stringify({ [text]: text });
    t.deepEqual(JSON.parse(escapeControls(json)), { [text]: text }, `${what}, in JSON`);
  }
  for (const half of ['\ud800', '\udc00x', 'a\udbff'])
    t.regex(escapeControls(half), /^[ -~]+$/, 'half of a surrogate pair');
  for (const plain of ['', 'Ärger über 日本語', 'naïve \u{1f511}', '\\u001b', 'a"b', 'e\u0301'])
    t.is(escapeControls(plain), plain);
});

const ID = 'f3b9c2d0-5d43-4a3a-9d0e-1f6a1f0d3c11';
const ALL = hostile.map(([, text]) => text).join(' ');
/** What no line of the output may hold. */
const RAW = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;
const rawIn = (output: string): string | undefined =>
  output.split('\n').find((line) => RAW.test(line));

test('S69 no line of the log controls a terminal, and each means what was logged', (t) => {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const options = { service: 'rollcall-test', environment: 'test', level: 'info', destination };
  const log = createLogger<string>(options);
  const reply = new Error(`550 ${ALL} end`);
  log.warn({ err: reply, 'labels.text': ALL }, 'hostile');
  const asked = { requestId: ID, traceId: '0', spanId: '0', ip: undefined };
  const path = '/\u0085\u009b2J';
  const outcome = { status: 404, durationNs: 1, isSuccess: false };
  log.members('info', requestMembers(asked, { method: 'GET', url: path }, outcome), 'request');
  t.is(rawIn(lines.join('')), undefined);
  const [warning, request] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  t.is(warning?.['error.message'], reply.message);
  t.is(warning?.['labels.text'], ALL);
  t.is(request?.['url.path'], path);
});

test.serial('S69 a bounce says what it likes: `mail show` keeps it in its place', async (t) => {
  const { sentMail, postJson, eventsOf } = await openSesFixture(t, context);
  for (const [what, text, shown] of hostile) {
    const { id, email, providerId } = await sentMail();
    const bounce = bounceOf(mailObject(providerId, id), email);
    for (const recipient of bounce.bounce.bouncedRecipients)
      recipient.diagnosticCode = `smtp; 550 ${text} end`;
    t.is((await postJson(bounce)).status, 200, what);
    const [event] = await eventsOf(providerId);
    const { code, stdout, stderr } = await runCli(context, ['mail', 'show', email]);
    t.is(code, 0);
    t.is(rawIn(stdout + stderr), undefined, what);
    const line = stdout.split('\n').find((each) => each.includes('bounced ('));
    t.is(line?.slice(-4), ' end', `${what}: all on one line`);
    const { json, stdout: document } = await runCliJson(context, ['mail', 'show', email]);
    t.is(rawIn(document), undefined, what);
    t.true(JSON.stringify(json).includes(JSON.stringify(event?.detail).slice(1, -1)), what);
    if (event?.detail?.includes(text) === true) t.true(line?.includes(shown), what);
  }
});

test.serial(
  'S69 nor does anything else that others write: answers of servers, errors, names of workers',
  async (t) => {
    const { promiseConfirmation } = await openSesFixture(t, context);
    const dead = { state: 'dead' } as const;
    const { id, email } = await promiseConfirmation({ message: dead });
    const text = ALL.replaceAll('\u0000', '');
    await context.rows('update outbox set last_error = $2, recipient = $3 where id = $1', [
      id,
      text,
      email,
    ]);
    await context.rows(
      `insert into deliveries (outbox_id, attempt, worker, started_at, finished_at, outcome, response, provider_id)
       values ($1, 1, $2, now(), now(), 'deferred', $2, $3)`,
      [id, text, text.slice(0, 100)],
    );
    await context.rows(
      `insert into audit_events (id, event, trace_id, details)
       select gen_random_uuid(), 'mail_redriven', trace_id, jsonb_build_object('outbox_id', id, 'error', $2::text)
         from outbox where id = $1`,
      [id, text],
    );
    for (const args of [
      ['mail', 'show', email],
      ['mail', 'dead'],
    ]) {
      const people = await runCli(context, args);
      t.is(people.code, 0);
      t.is(rawIn(people.stdout), undefined, args.join(' '));
      t.true(people.stdout.includes('\\u001b]0;owned\\u0007'), args.join(' '));
      const { json, stdout } = await runCliJson(context, args);
      t.is(rawIn(stdout), undefined, args.join(' '));
      t.true(JSON.stringify(json).includes(JSON.stringify(text).slice(1, -1)), args.join(' '));
    }
    // Discarded, it is told as a line of the log too.
    await context.rows('update outbox set recipient = $2 where id = $1', [id, `${text}@x.test`]);
    t.is(rawIn((await runCli(context, ['mail', 'dead'])).stdout), undefined);
    const { stderr } = await runCli(context, ['mail', 'discard', id]);
    t.is(rawIn(stderr), undefined);
    t.is(stderr.trimEnd().split('\n').length, 1);
  },
);

test('S69 nor what is typed: a refusal repeats it', async (t) => {
  for (const args of [[ALL], ['mail', 'show', ALL], ['mail', 'redrive', ALL], [`--${ALL}`]]) {
    const people = await runCli(context, args);
    t.is(people.code, 64);
    t.is(rawIn(people.stderr), undefined);
    const program = await runCliJson(context, args);
    t.is(rawIn(program.stdout), undefined);
  }
});

test('S69 nor the name of the file or folder that `logs tail` reads', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'rollcall-\u202eterminal-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, `${ALL.replaceAll(/[\0/]/g, '')}.ndjson`);
  await writeFile(file, '{}\n');
  const env = { SPOOL_DIR: folder, FIREHOSE_DELIVERY_STREAM: 'logs' };
  for (const args of [
    ['logs', 'tail', file, '--once'],
    ['logs', 'tail', '--once'],
  ]) {
    const { code, stderr } = await runCli(context, args, env);
    t.is(code, 0, stderr);
    t.is(rawIn(stderr), undefined);
    t.regex(stderr, /^from .*rollcall-\\u202eterminal-.*\n$/);
  }
});
