import { EventEmitter } from 'node:events';
import test from 'ava';
import { openStandardOutput, type OutputStream } from '../../../shared/logging/standard-output.js';
import { createRecordingLogger } from '../../helpers/log.js';

/** A stream that fails as often as it is told to, and takes what comes then: as the process's own, it outlives its errors. */
function createStream(code: string) {
  const state = { failures: 0, tries: 0, taken: '' };
  const errors = new EventEmitter();
  const stream: OutputStream = {
    write(text, onWritten) {
      state.tries += 1;
      const error = state.failures > 0 && Object.assign(new Error('write failed'), { code });
      if (error) state.failures -= 1;
      else state.taken += text;
      setImmediate(() => {
        onWritten?.(error || undefined);
        if (error) errors.emit('error', error);
      });
    },
    on: (event, listener) => errors.on(event, listener),
  };
  return { stream, state };
}

/** Both turns of the event loop in which a write and what it causes are told. */
async function turn(): Promise<void> {
  await new Promise(setImmediate);
  await new Promise(setImmediate);
}

test('lines are written as they come while somebody takes them', async (t) => {
  const [out, err] = [createStream('EPIPE'), createStream('EPIPE')];
  const output = openStandardOutput({ stdout: out.stream, stderr: err.stream });
  output.write('one\n');
  output.write('two\n');
  await turn();
  t.deepEqual([out.state.taken, err.state.taken], ['one\ntwo\n', '']);
});

test('a failure is told once, on stderr and to the log, and nothing is written for a while', async (t) => {
  const [out, err] = [createStream('ENOSPC'), createStream('EPIPE')];
  const { log, messages } = createRecordingLogger();
  const output = openStandardOutput({ stdout: out.stream, stderr: err.stream });
  output.reportTo(log);
  out.state.failures = Infinity;
  for (let i = 0; i < 5; i += 1) {
    output.write('lost\n');
    await turn();
  }
  t.is(out.state.tries, 1);
  t.is(err.state.taken, 'Standard output cannot be written (ENOSPC); going on without.\n');
  t.deepEqual(messages(), ['stdout write failed']);
});

test('what works again is told too, and used', async (t) => {
  const [out, err] = [createStream('ENOSPC'), createStream('EPIPE')];
  const { log, messages } = createRecordingLogger();
  const output = openStandardOutput({ stdout: out.stream, stderr: err.stream, pauseMs: 0 });
  output.reportTo(log);
  out.state.failures = 2;
  for (const line of ['lost\n', 'lost\n', 'three\n', 'four\n']) {
    output.write(line);
    await turn();
  }
  t.is(out.state.taken, 'three\nfour\n');
  t.deepEqual(messages(), ['stdout write failed', 'stdout recovered']);
});

test('stderr that is closed as well ends nothing', async (t) => {
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

test('a reader that stays and does not read is left without lines until it has read what waits', (t) => {
  const [out, err] = [createUnread(), createStream('EPIPE')];
  const { log, lines, messages } = createRecordingLogger();
  const output = openStandardOutput({ stdout: out, stderr: err.stream });
  output.reportTo(log);
  const kibibyte = `${'x'.repeat(1_023)}\n`;
  for (let i = 0; i < 5_000; i += 1) output.write(kibibyte);
  t.is(out.writableLength, 1_025 * 1_024);
  t.is(err.state.taken, 'Standard output cannot be written (ESTALLED); going on without.\n');
  t.deepEqual(messages(), ['stdout write failed']);

  out.read(1_024);
  output.write('still full\n');
  t.is(out.writableLength, 1_024, 'what is left waits to be read first');
  out.read(1);
  output.write('one\n');
  t.is(out.writableLength, 4);
  out.read(1);
  t.deepEqual(messages(), ['stdout write failed', 'stdout recovered']);
  t.is(lines.at(-1)?.['labels.dropped_lines'], 5_000 - 1_025 + 1);
});

/** A stream whose writes wait until they are read, in their order. */
function createUnread() {
  const waiting: { readonly length: number; readonly onWritten: (() => void) | undefined }[] = [];
  return {
    get writableLength() {
      return waiting.reduce((sum, { length }) => sum + length, 0);
    },
    write(text: string, onWritten?: () => void) {
      waiting.push({ length: text.length, onWritten });
    },
    on: () => undefined,
    read(writes: number) {
      for (const { onWritten } of waiting.splice(0, writes)) onWritten?.();
    },
  };
}
