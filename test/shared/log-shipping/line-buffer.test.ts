import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { createLineBuffer } from '../../../shared/log-shipping/line-buffer.js';
import { shareProcess } from '../../helpers/context.js';

shareProcess();

test('the lines of a turn are delivered together, in UTF-8', async (t) => {
  const delivered: [string, number][] = [];
  const buffer = createLineBuffer(({ text, count }) => {
    delivered.push([text.toString(), count]);
    return true;
  });
  for (const line of ['a\n', 'ä🐘\n', '\ud800\n']) buffer.write(line);
  t.deepEqual(delivered, []);
  await turn();
  buffer.write('b\n');
  await turn();
  t.deepEqual(delivered, [
    ['a\nä🐘\n\ufffd\n', 3],
    ['b\n', 1],
  ]);
});

test('more lines than there is room for are delivered in several pieces, and none is torn', (t) => {
  const delivered: string[] = [];
  const buffer = createLineBuffer(({ text }) => delivered.push(text.toString()) > 0);
  const lines = [
    ...Array.from({ length: 100 }, (_, i) => `${i}${'€'.repeat(5_000)}\n`),
    `${'€'.repeat(200_000)}\n`,
    'last\n',
  ];
  for (const line of lines) buffer.write(line);
  buffer.flush();
  t.true(delivered.length > 2);
  t.true(delivered.every((text) => text.endsWith('\n')));
  t.is(delivered.join(''), lines.join(''));
});

test('lines that are still held are not overwritten', (t) => {
  const held: Buffer[] = [];
  const buffer = createLineBuffer(({ text }) => held.push(text) === 0);
  for (const line of ['one\n', 'two\n', 'three\n']) {
    buffer.write(line);
    buffer.flush();
  }
  t.is(Buffer.concat(held).toString(), 'one\ntwo\nthree\n');
});

test('lines that are written, or delivered, while others are delivered do not overwrite them', (t) => {
  let delivered = '';
  const more = ['second\n', 'third\n'];
  const buffer = createLineBuffer(({ text }) => {
    const next = more.shift();
    if (next !== undefined) buffer.write(next);
    if (next === 'third\n') buffer.flush();
    delivered += text.toString();
    return true;
  });
  buffer.write('first\n');
  buffer.flush();
  t.is(delivered, 'first\n');
  buffer.flush();
  t.is(delivered, 'first\nthird\nsecond\n');
  buffer.write('fourth\n');
  buffer.flush();
  t.is(delivered, 'first\nthird\nsecond\nfourth\n');
});

test('a long line that has the others delivered keeps what is written meanwhile', (t) => {
  const [first, gap] = [`${'f'.repeat(200)}\n`, `${'g'.repeat(100)}\n`];
  // With the gap it just does not fit into the buffer; and alone it does not.
  for (const length of [43_680, 60_000]) {
    let delivered = '';
    const buffer = createLineBuffer(({ text }) => {
      if (delivered === '') buffer.write(gap);
      delivered += text.toString();
      return true;
    });
    const long = `${'€'.repeat(length)}\n`;
    buffer.write(first);
    buffer.write(long);
    buffer.flush();
    t.true(delivered === `${first}${gap}${long}`, `${length} characters`);
  }
});
