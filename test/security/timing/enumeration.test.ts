import test, { type ExecutionContext } from 'ava';
import { useApi } from '../../helpers/api.js';
import type { Answer } from '../../helpers/api-client.js';
import { useContext } from '../../helpers/context.js';
import { telling } from '../../helpers/problem.js';

const context = useContext();
// Half the work of production, some 30 ms: that a hash is left out shows, at twice what counts as visible.
const api = useApi(context, { env: { BCRYPT_COST: '9' } });

const PAIRS = 60;
const LEAST_VISIBLE_MS = 15;
const LEAST_VISIBLE_SHARE = 0.05;
/** A busy machine can spoil a round; what tells two addresses apart shows in each. */
const ROUNDS = 3;
const PATIENCE_MS = 10 * 60_000;
const PASSWORD = 'the same password for all of them';

test.serial('S01 registering tells nothing of the address, by answer or by time', async (t) => {
  t.timeout(PATIENCE_MS);
  const confirmed = await api.admins.confirmedAdmin({ email: address('confirmed') });
  const pending = await api.admins.registerAdmin({ email: address('pending') });
  const register = (email: string): Promise<Answer> =>
    api.client.post('/auth/register', api.admins.applicant({ email, password: PASSWORD }));

  const answers = [
    await register(address('new')),
    await register(pending.email),
    await register(confirmed.email),
  ];
  for (const answer of answers) {
    t.is(answer.status, 202);
    t.is(answer.text, answers[0]?.text ?? '');
    t.deepEqual(comparableHeaders(answer), comparableHeaders(answers[0]));
  }

  let count = 0;
  await takeTheSameTime(
    t,
    () => register(address(`new-${++count}`)),
    () => register(confirmed.email),
  );

  // A second time, while the first one's mail may be on its way.
  const registerTwice = async (email: string): Promise<Answer> => {
    const applicant = api.admins.applicant({ email, password: PASSWORD });
    await api.client.post('/auth/register', applicant);
    return api.client.post('/auth/register', applicant);
  };
  await takeTheSameTime(
    t,
    () => registerTwice(address(`twice-${++count}`)),
    () => registerTwice(confirmed.email),
    { pairs: PAIRS / 3 },
  );
});

test.serial('S14 logging in tells nothing of the address, by answer or by time', async (t) => {
  t.timeout(PATIENCE_MS);
  const known = await api.admins.confirmedAdmin({ email: address('known') });
  const deleted = await api.admins.confirmedAdmin({ email: address('deleted') });
  await deleted.client.request('DELETE', '/auth/me', {
    json: { current_password: deleted.password },
  });
  const logIn = (email: string, password: string): Promise<Answer> =>
    api.client.post('/auth/login', { email, password });

  for (const password of [PASSWORD, 'x'.repeat(2_000)]) {
    const answers = [
      await logIn(address('unknown'), password),
      await logIn(known.email, password),
      await logIn(deleted.email, password),
      await logIn(deleted.email, deleted.password),
    ];
    t.is(answers[0]?.status, 401);
    t.deepEqual(answers.map(telling), Array(answers.length).fill(answers.map(telling)[0]));
    for (const answer of answers)
      t.deepEqual(comparableHeaders(answer), comparableHeaders(answers[0]));
  }

  await takeTheSameTime(
    t,
    () => logIn(address('unknown'), PASSWORD),
    () => logIn(known.email, PASSWORD),
  );
});

/** Addresses of one length. */
const address = (who: string): string => `${who.padEnd(12, '-')}a@${context.mailDomain}`;

/** Names and values of the headers that may depend on what was asked. */
function comparableHeaders(answer: Answer | undefined): [string, string][] {
  const counting = ['date', 'x-request-id', 'ratelimit-remaining', 'ratelimit-reset'];
  return [...(answer?.headers ?? [])].map(([name, value]) => [
    name,
    counting.includes(name) ? '' : value,
  ]);
}

/** Asks the one and the other in turns, one at a time, and compares the medians. */
async function takeTheSameTime(
  t: ExecutionContext,
  one: () => Promise<Answer>,
  other: () => Promise<Answer>,
  { pairs = PAIRS } = {},
): Promise<void> {
  const rounds: string[] = [];
  while (rounds.length < ROUNDS) {
    const times: [number, number][] = [];
    for (let pair = 0; pair < pairs; pair++) {
      // Whoever comes second in a pair must not always be the same.
      const first = await timed(pair % 2 === 0 ? one : other);
      const second = await timed(pair % 2 === 0 ? other : one);
      times.push(pair % 2 === 0 ? [first, second] : [second, first]);
    }
    const [a, b] = [median(times.map(([ms]) => ms)), median(times.map(([, ms]) => ms))];
    const difference = Math.abs(a - b);
    rounds.push(`${a.toFixed(1)} ms and ${b.toFixed(1)} ms`);
    if (difference < Math.max(LEAST_VISIBLE_MS, LEAST_VISIBLE_SHARE * Math.min(a, b))) {
      t.pass(rounds.join('; '));
      return;
    }
  }
  t.fail(`medians of ${pairs} pairs, in ${ROUNDS} rounds: ${rounds.join('; ')}`);
}

async function timed(ask: () => Promise<Answer>): Promise<number> {
  const startedAt = performance.now();
  await ask();
  return performance.now() - startedAt;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle) - 1] ?? 0)) / 2;
}
