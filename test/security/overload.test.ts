import { availableParallelism } from 'node:os';
import test from 'ava';
import { laneWidth } from '../../api/auth/hash-lane.js';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import type { Problem } from '../helpers/problem.js';

const context = useContext();
// What production's least work factor costs: more hashes are wanted than the lane takes in.
const api = useApi(context, { env: { BCRYPT_COST: '10' } });

test('S25 hashes leave a core to other work, and two threads to files and look-ups of names', (t) => {
  for (const [cores, threads, width] of [
    [1, 4, 1],
    [2, 4, 1],
    [4, 4, 2],
    [16, 4, 2],
    [16, 128, 15],
    [8, 1, 1],
  ] as const)
    t.is(laneWidth({ cores, threads }), width, `${cores} cores, ${threads} threads`);
});

test('S25 a flood of logins starves neither other requests nor itself: what cannot be compared soon is refused at once', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  // Connections are made before the flood, as in the middle of a day.
  await Promise.all(Array.from({ length: 10 }, () => admin.client.get('/users')));
  const flood = Array.from({ length: 150 * availableParallelism() }, () =>
    api.client.post<Problem>('/auth/login', {
      email: context.uniqueAddress(),
      password: 'a password of nobody at all',
    }),
  );
  let isOver = false;
  const answers = Promise.all(flood).finally(() => {
    isOver = true;
  });
  let served = 0;
  while (!isOver) {
    const others = [api.client.get('/health/live'), admin.client.get('/users')];
    for (const { status } of await Promise.all(others)) t.is(status, 200);
    served += 1;
  }
  t.true(served >= 10, `${served} rounds of other requests were answered during the flood`);

  const refused = (await answers).filter(({ status }) => status !== 401);
  t.true(refused.length > 0 && refused.length < flood.length, `${refused.length} were refused`);
  for (const { status, body, headers } of refused) {
    t.deepEqual([status, body.code], [503, 'overloaded']);
    t.regex(headers.get('retry-after') ?? '', /^[1-9]\d*$/);
  }
  const again = await eventually(async () => {
    const { email, password } = admin;
    return (await api.client.post('/auth/login', { email, password })).status === 200;
  });
  t.true(again);
});
