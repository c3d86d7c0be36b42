import test from 'ava';
import type { Check } from '../../../shared/health/checks.js';
import { readiness, Readiness } from '../../../shared/health/readiness.js';

const ask = (checks: Record<string, Check>, isStopping = false) =>
  readiness(checks, () => isStopping);

test('ready when every check is', async (t) => {
  const report = await ask({
    one: async () => ({ ok: true }),
    two: async () => ({ ok: true, lag: 3 }),
  });
  t.deepEqual(report, {
    status: 'ready',
    checks: { one: { ok: true }, two: { ok: true, lag: 3 } },
  });
});

test('one check that is not makes the whole not ready, and the report says which and why', async (t) => {
  const report = await ask({
    one: async () => ({ ok: true }),
    two: async () => ({ ok: false, problem: 'too late' }),
  });
  t.deepEqual(report, {
    status: 'not_ready',
    checks: { one: { ok: true }, two: { ok: false, problem: 'too late' } },
  });
});

test('a check that throws is not ready, without a word of what it threw', async (t) => {
  const report = await ask({
    cache: async () => {
      throw new Error('connect ECONNREFUSED 10.0.0.1:6379');
    },
  });
  t.deepEqual(report.checks, { cache: { ok: false, problem: 'cache cannot be reached' } });
});

test('a check that never ends does not keep the report', async (t) => {
  const report = await ask({
    quick: async () => ({ ok: true }),
    stuck: () => new Promise(() => undefined),
  });
  t.deepEqual(report.checks['stuck'], { ok: false, problem: 'stuck did not answer in time' });
  t.true(report.checks['quick']?.ok);
});

test('a process that has begun to stop is not ready, whatever the checks say', async (t) => {
  const report = await ask({ one: async () => ({ ok: true }) }, true);
  t.deepEqual(report, { status: 'not_ready', checks: { one: { ok: true } } });
});

test('a report is what its schema says', async (t) => {
  const report = await ask({ one: async () => ({ ok: true, pending: 2 }) });
  t.deepEqual(Readiness.parse(report), report);
});
