import test from 'ava';
import { normalizeReply, refusedParty } from '../../workers/mail/smtp/smtp-reply.js';

test('answers that differ in addresses, ids and numbers alone are of one kind', (t) => {
  const kind = normalizeReply(
    '554 5.7.1 <[address]>: rejected by filter F7 (queue id 4XYZ9, 17 ms)',
  );
  for (const same of [
    '554 5.7.1 <[address]>: rejected by filter F9 (queue id 7ABC1, 230 ms)',
    '554 5.7.1 [address]: Rejected by filter  F9 (queue id [7ABC1], 230 ms)',
  ])
    t.is(normalizeReply(same), kind);
});

test('answers of another code or other words are of another kind', (t) => {
  const kind = normalizeReply('554 5.7.1 rejected');
  for (const other of ['550 5.7.1 rejected', '554 5.7.0 rejected', '554 5.7.1 refused', '554'])
    t.not(normalizeReply(other), kind, other);
});

test('5.7.1 alone tells nothing', (t) => {
  t.is(refusedParty('554 5.7.1'), 'unclear');
  t.is(refusedParty('550-5.7.1 first line\n550 5.7.1 no'), 'unclear');
});

test('a very long reply of hostile words is read in no time', (t) => {
  t.is(refusedParty(`554 ${'sender '.repeat(200_000)}`), 'unclear');
  t.true(normalizeReply(`554 ${'a '.repeat(500_000)}`).length <= 1_000);
});
