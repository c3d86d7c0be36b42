import test from 'ava';
import { truncateLine } from '../../../shared/log-shipping/truncate-line.js';
import { KIB, upTo } from './spool-fixture.js';
import { shareProcess } from '../../helpers/context.js';

shareProcess();

const fieldsOf = (line: string) => JSON.parse(line) as Record<string, unknown>;

test('a line within 256 KiB is unchanged', (t) => {
  const line = `${JSON.stringify({ message: 'ü'.repeat(120 * KIB) })}\n`;
  t.is(truncateLine(line), line);
});

test('a longer line is truncated, remains one JSON object, and is marked', (t) => {
  const record = { message: 'm'.repeat(300 * KIB), 'event.id': 'e', 'log.level': 'info' };
  const cut = truncateLine(`${JSON.stringify(record)}\n`);
  t.true(cut.endsWith('}\n') && Buffer.byteLength(cut) <= 256 * KIB);
  const fields = fieldsOf(cut);
  t.is(fields['event.id'], 'e');
  t.is(fields['labels.cut'], true);
  t.true(String(fields['message']).startsWith('mmm'));
});

test('a line of many short fields is truncated too, labels first', (t) => {
  const labels = upTo(2_000).map((number) => [`labels.f${number}`, 'y'.repeat(1_000)]);
  const cut = truncateLine(
    `${JSON.stringify({ ...Object.fromEntries(labels), 'event.id': 'e' })}\n`,
  );
  t.true(Buffer.byteLength(cut) <= 256 * KIB, `${Buffer.byteLength(cut)} bytes`);
  t.is(fieldsOf(cut)['event.id'], 'e');
});

test('length is measured in bytes, and no character is split', (t) => {
  const cut = truncateLine(`${JSON.stringify({ message: `m${'\u{1F600}'.repeat(100 * KIB)}` })}\n`);
  t.true(String(fieldsOf(cut)['message']).isWellFormed(), 'half a character is left at the end');
});

test('a long line that is not JSON becomes a message', (t) => {
  const cut = truncateLine(`${'x'.repeat(300 * KIB)}\n`);
  t.true(String(fieldsOf(cut)['message']).startsWith('xxx'));
});
