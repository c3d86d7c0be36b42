import test from 'ava';
import { isInStep } from '../../shared/clocks.js';

test('a slow answer is no sign of a wrong clock', (t) => {
  const inStep = (aheadMs: number, uncertaintyMs: number): boolean =>
    isInStep({ name: 'PostgreSQL', aheadMs, uncertaintyMs });
  t.true(inStep(-2_000, 0));
  t.false(inStep(-2_001, 0));
  t.true(inStep(6_000, 4_000));
  t.false(inStep(6_001, 4_000));
});
