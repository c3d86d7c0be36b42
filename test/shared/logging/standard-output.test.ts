import { EventEmitter } from 'node:events';
import test from 'ava';
import { openStandardOutput, type OutputStream } from '../../../shared/logging/standard-output.js';
import { createRecordingLogger } from '../../helpers/log.js';
import { shareProcess } from '../../helpers/context.js';

shareProcess();

/** A stream that fails a given number of writes and accepts those after; like the process's own, it survives its errors. */
function createStream(code: string) {
  const state = { failures: 0, attempts: 0, accepted: '' };
  const errors = new EventEmitter();
  const stream: OutputStream = {
    write(text, onWritten) {
      state.attempts += 1;
      const error = state.failures > 0 && Object.assign(new Error('write failed'), { code });
      if (error) state.failures -= 1;
      else state.accepted += text.toString();
      setImmediate(() => {
        onWritten?.(error || undefined);
        if (error) errors.emit('error', error);
      });
    },
    on: (event, listener) => errors.on(event, listener),
  };
  return { stream, state };
}

/** The two turns of the event loop in which a write's callback and its error event fire. */
async function turn(): Promise<void> {
  await new Promise(setImmediate);
  await new Promise(setImmediate);
}

test('lines are written as they come while they are read', async (t) => {
  const [out, err] = [createStream('EPIPE'), createStream('EPIPE')];
  const output = openStandardOutput({ stdout: out.stream, stderr: err.stream });
  output.write('one\n');
  output.write('two\n');
  await turn();
  t.deepEqual([out.state.accepted, err.state.accepted], ['one\ntwo\n', '']);
});

test('a failure is reported once, on stderr and to the log, and nothing is written during the pause', async (t) => {
  const [out, err] = [createStream('ENOSPC'), createStream('EPIPE')];
  const { log, messages } = createRecordingLogger();
  const output = openStandardOutput({ stdout: out.stream, stderr: err.stream });
  output.reportTo(log);
  out.state.failures = Infinity;
  for (let i = 0; i < 5; i += 1) {
    output.write('lost\n');
    await turn();
  }
  t.is(out.state.attempts, 1);
  t.is(err.state.accepted, 'Standard output cannot be written (ENOSPC); going on without.\n');
  t.deepEqual(messages(), ['stdout write failed']);
});

test('a recovery is reported too, and writing goes on', async (t) => {
  const [out, err] = [createStream('ENOSPC'), createStream('EPIPE')];
  const { log, messages } = createRecordingLogger();
  const output = openStandardOutput({ stdout: out.stream, stderr: err.stream, pauseMs: 0 });
  output.reportTo(log);
  out.state.failures = 2;
  for (const line of ['lost\n', 'lost\n', 'three\n', 'four\n']) {
    output.write(line);
    await turn();
  }
  t.is(out.state.accepted, 'three\nfour\n');
  t.deepEqual(messages(), ['stdout write failed', 'stdout recovered']);
});

test('a closed stderr as well does not end the process', async (t) => {
  const [out, err] = [createStream('EPIPE'), createStream('EPIPE')];
  const { log, messages } = createRecordingLogger();
  const output = openStandardOutput({ stdout: out.stream, stderr: err.stream });
  output.reportTo(log);
  out.state.failures = 1;
  err.state.failures = 1;
  output.write('lost\n');
  await turn();
  t.deepEqual(messages(), ['stdout write failed']);
});

test('a stalled reader gets no more lines until it has read what is buffered', (t) => {
  const [out, err] = [createUnread(), createStream('EPIPE')];
  const { log, lines, messages } = createRecordingLogger();
  const output = openStandardOutput({ stdout: out, stderr: err.stream });
  output.reportTo(log);
  const kibibyte = `${'x'.repeat(1_023)}\n`;
  for (let i = 0; i < 5_000; i += 1) output.write(kibibyte);
  t.is(out.writableLength, 1_025 * 1_024);
  t.is(err.state.accepted, 'Standard output cannot be written (ESTALLED); going on without.\n');
  t.deepEqual(messages(), ['stdout write failed']);

  out.read(1_024);
  output.write('still full\n');
  t.is(out.writableLength, 1_024, 'the rest must be read first');
  out.read(1);
  output.write('one\n');
  t.is(out.writableLength, 4);
  out.read(1);
  t.deepEqual(messages(), ['stdout write failed', 'stdout recovered']);
  t.is(lines.at(-1)?.['labels.dropped_lines'], 5_000 - 1_025 + 1);
});

test('bytes that a reader has not taken yet must not be overwritten, or are a copy', (t) => {
  const out = createUnread();
  const output = openStandardOutput({ stdout: out, stderr: createStream('EPIPE').stream });
  t.false(output.write(Buffer.from('one\n')), 'it holds them');
  const two = Buffer.from('two\n');
  t.true(output.write(two));
  two.fill('x');
  t.is(out.held(), 'one\ntwo\n');
  out.read(2);
  t.true(openStandardOutput({ stdout: createStream('EPIPE').stream }).write(two));
});

/** A stream that buffers writes until they are read, in order. */
function createUnread() {
  const waiting: {
    readonly text: string | Buffer;
    readonly onWritten: (() => void) | undefined;
  }[] = [];
  return {
    get writableLength() {
      return waiting.reduce((sum, { text }) => sum + text.length, 0);
    },
    held: () => waiting.map(({ text }) => text.toString()).join(''),
    write(text: string | Buffer, onWritten?: () => void) {
      waiting.push({ text, onWritten });
    },
    on: () => undefined,
    read(writes: number) {
      for (const { onWritten } of waiting.splice(0, writes)) onWritten?.();
    },
  };
}
