import test from 'ava';
import { optionalText, optionalTime } from '../../api/console/form-fields.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

test('a filter of the console takes a day or a time, in UTC unless it says another zone', (t) => {
  for (const [text, time] of [
    ['2026-11-29', '2026-11-29T00:00:00.000Z'],
    ['2026-11-29T10:30', '2026-11-29T10:30:00.000Z'],
    ['2026-11-29T10:30Z', '2026-11-29T10:30:00.000Z'],
    ['2026-11-29T10:30:15.5', '2026-11-29T10:30:15.500Z'],
    ['2026-11-29T10:30:15+02:00', '2026-11-29T08:30:15.000Z'],
  ] as const)
    t.is(optionalTime.parse(text)?.toISOString(), time, text);
  t.is(optionalTime.parse(''), undefined);
});

test('a filter of the console refuses what is no time, or none that PostgreSQL keeps', (t) => {
  for (const text of [
    ...['yesterday', '5', '2026', '2026-02-30', '2026-02-30T10:00', '2026-11-29T25:00'],
    ...[
      '2026-11-30 17:41',
      '2026-11-30T17:41 (any junk)',
      '-271821-04-20T00:00:00.000Z',
      '275760-09-13',
      '0001-01-01',
      '2026-11-29T10:30+99:00',
    ],
  ])
    t.false(optionalTime.safeParse(text).success, text);
});

test('a text of a filter is trimmed, and refused if PostgreSQL would fail at it', (t) => {
  const text = optionalText(9);
  t.is(text.parse(' Zoë 🙂 '), 'Zoë 🙂');
  t.is(text.parse('  '), undefined);
  for (const bad of ['\0', 'a\0b', '\ud800', 'a\udfff', 'x'.repeat(10)])
    t.false(text.safeParse(bad).success, JSON.stringify(bad));
});
