import test from 'ava';
import { evenRateLimiter } from '../../workers/jobs/even-rate-limiter.js';

/** How many jobs a limiter lets through in the fullest second there is, and in the long run. */
function passing({ max, duration }: ReturnType<typeof evenRateLimiter>) {
  // A second that begins with the end of one window and ends with the start of another.
  return {
    inWorstSecond: max * (Math.ceil(1_000 / duration) + 1),
    perSecond: (max * 1_000) / duration,
  };
}

const rates = Array.from({ length: 2_000 }, (_, index) => index + 1);

test('no rate is exceeded in the long run, and none is missed by more than a twentieth', (t) => {
  for (const rate of rates) {
    const { perSecond } = passing(evenRateLimiter(rate));
    t.true(perSecond <= rate && perSecond >= rate * 0.95, `${rate}: ${perSecond}`);
  }
});

test('no second sees more than the rate and two short bursts', (t) => {
  for (const rate of rates) {
    const { inWorstSecond } = passing(evenRateLimiter(rate));
    t.true(inWorstSecond <= rate + 2 * Math.max(1, rate / 20) + 1, `${rate}: ${inWorstSecond}`);
  }
});

test('the default, 14 a second, is one mail every 72 ms', (t) => {
  t.deepEqual(evenRateLimiter(14), { max: 1, duration: 72 });
});
