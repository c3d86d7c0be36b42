import test from 'ava';
import { createVerifiedTokens } from '../../api/sessions/verified-tokens.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

const HOUR_MS = 3_600_000;
const claims = (adminId: number, expiresAtMs = Date.now() + HOUR_MS) => ({
  adminId,
  sessionId: 1,
  generation: 0,
  expiresAtMs,
});

test('S31 a token that was verified is known by its whole text alone', (t) => {
  const tokens = createVerifiedTokens();
  const ann = claims(1);
  tokens.add('head.ann.seal', ann);
  t.is(tokens.find('head.ann.seal'), ann);
  for (const other of ['', 'head.ann.seaL', 'head.ann.sea', 'head.ann.seal ', ' head.ann.seal'])
    t.is(tokens.find(other), undefined, other);
});

test('S31 a token is known until it expires, and no longer', (t) => {
  const tokens = createVerifiedTokens();
  tokens.add('expired', claims(1, Date.now()));
  tokens.add('live', claims(2));
  t.is(tokens.find('expired'), undefined);
  t.is(tokens.find('live')?.adminId, 2);
});

test('the oldest token makes room', (t) => {
  const tokens = createVerifiedTokens(2);
  for (const id of [1, 2, 3]) tokens.add(`token ${id}`, claims(id));
  t.deepEqual(
    [1, 2, 3].map((id) => tokens.find(`token ${id}`)?.adminId),
    [undefined, 2, 3],
  );
});
