import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../../dev/paths.js';
import { assumed, mailsPerWorker } from '../../../dev/scaling/assumptions.js';
import { hashesAtOnce, limits, needs } from '../../../dev/scaling/capacity.js';
import { simulateAll, writtenFiles } from '../../../dev/scaling/document.js';
import { byWork, policies } from '../../../dev/scaling/policies.js';
import { OUTAGE, scenarioNamed, scenarios } from '../../../dev/scaling/scenarios.js';
import { simulate, type Run } from '../../../dev/scaling/simulate.js';
import { mailsPerSecond, smtpConnections } from '../../../workers/mail/smtp/smtp.mailer.js';

const all = simulateAll();
const run = (scenario: string, policy: string): Run => {
  const found = all
    .flat()
    .find((each) => each.scenario.name === scenario && each.policy.name === policy);
  if (!found) throw new Error(`there is no run of ${scenario} by ${policy}`);
  return found;
};
const instancesIn = ({ moments }: Run, from: number, to: number): Set<number> =>
  new Set(
    moments.filter(({ second }) => second >= from && second < to).map((each) => each.instances),
  );

test('on a working day 95 % of the mails wait for less than a minute', (t) => {
  const day = run('day', 'work');
  t.true(day.waits.p95 < 60, `${day.waits.p95} s`);
  t.true(day.waits.withinMinute > 0.95);
  t.true(day.peak > 2, 'which the fewest instances could not do');
  for (const other of ['waiting', 'queue', 'cpu'])
    t.true(run('day', other).waits.p95 > 60, `${other} does not do it`);
});

test('while the mail server is away the number of workers stays', (t) => {
  const during = instancesIn(run('outage', 'work'), OUTAGE.from, OUTAGE.to);
  t.is(during.size, 1);
  t.true(
    [...during].every((count) => count > 2),
    'more than the fewest, which none could leave',
  );
  const by = (name: string): Set<number> =>
    instancesIn(run('outage', name), OUTAGE.from, OUTAGE.to);
  t.true(Math.max(...by('queue')) > Math.max(...during), 'by the queue length it rises');
  t.true(by('waiting').size > 1, 'and without holding it falls');
});

test('no worker is added for a used-up quota, or for a Firehose that throttles', (t) => {
  for (const name of ['quota', 'firehose']) {
    t.is(run(name, 'work').peak, scenarioNamed(name).limits.min, name);
    t.true(run(name, 'queue').peak > scenarioNamed(name).limits.min, `by queue length, ${name}`);
  }
});

test('a steady load ends at a steady number of workers', (t) => {
  const [last] = run('steady', 'work').moments.slice(-1);
  const second = (last?.second ?? 0) / 2;
  t.is(instancesIn(run('steady', 'work'), second, Infinity).size, 1);
  t.true(instancesIn(run('steady', 'waiting'), second, Infinity).size > 1);
});

test('whatever arrives is counted once, and the same code gives the same figures', (t) => {
  t.is(all.flat().length, scenarios.length * policies.length);
  for (const { scenario, policy, waits } of all.flat()) {
    const arriving =
      scenario.subject === 'mails' ? scenario.mailsPerSecond : scenario.linesPerSecond;
    let arrived = 0;
    for (let second = 0; second < scenario.seconds; second += 1) arrived += arriving(second);
    t.true(Math.abs(waits.count - arrived) <= 1, `${scenario.name} by ${policy.name}`);
  }
  t.deepEqual(simulate(scenarioNamed('outage'), byWork()).waits, run('outage', 'work').waits);
});

test('a worker is assumed to have the connections that it opens', (t) => {
  for (const ratePerSecond of [1, 14, 57, 58, 300]) {
    const assumedConnections = mailsPerWorker(ratePerSecond) * assumed('time of a mail over SMTP');
    t.is(
      Math.round(assumedConnections),
      smtpConnections({ ratePerSecond, connections: undefined }),
    );
    t.is(
      mailsPerWorker(ratePerSecond),
      mailsPerSecond({ ratePerSecond, connections: undefined }),
      'and to send so many',
    );
  }
});

test('an API hashes on no more vCPUs than its thread pool allows', async (t) => {
  const dockerfile = await readFile(join(projectRoot, 'Dockerfile.api'), 'utf8');
  t.is(
    Number(/UV_THREADPOOL_SIZE=(\d+)/.exec(dockerfile)?.[1]),
    assumed('thread pool of the image'),
  );
  t.deepEqual(
    [2, 4, 8, 64].map((vcpus) => hashesAtOnce(vcpus)),
    [1, 3, 6, 6],
  );
  for (const { hashCores, hashInstances, imageHashInstances } of needs()) {
    t.is(hashInstances, Math.ceil(hashCores / 15));
    t.is(imageHashInstances, Math.ceil(hashCores / 6));
  }
  const hashing = limits.find(({ part }) => part === 'password hashes');
  t.regex(hashing?.remedy ?? '', /`UV_THREADPOOL_SIZE` - 2/);
});

test('what is assumed is near what docs/performance.md has', async (t) => {
  const text = await readFile(join(projectRoot, 'docs/performance.md'), 'utf8');
  const cpuOf = (measurement: string, contender: string): number => {
    const [, section = ''] = text.split(`\n### ${measurement}\n`);
    const [head, row] = ['', contender].map((first) =>
      section
        .split('\n')
        .find((line) => line.startsWith(`| ${first}`.trimEnd()))
        ?.split('|')
        .map((cell) => cell.trim()),
    );
    return Number.parseFloat((row?.[head?.indexOf('CPU') ?? -1] ?? '').replace(',', '')) / 1e6;
  };
  const measured = {
    'CPU of a mail': cpuOf('mail', 'rollcall'),
    'CPU of a hash, cost 12': 4 * cpuOf('login', 'bcrypt'),
  } as const;
  // The same machine varies by a third.
  for (const [name, seconds] of Object.entries(measured)) {
    const ratio = assumed(name as keyof typeof measured) / seconds;
    t.true(ratio > 1 / 1.5 && ratio < 1.5, `${name}: ${ratio} of what was measured`);
  }
  t.true(assumed('CPU of a log line, worker') > cpuOf('two-workers', 'two workers'));
});

test('docs/scaling.md and its plots are those of this code: npm run simulate:scaling', async (t) => {
  const read = (path: string): Promise<string> => readFile(join(projectRoot, path), 'utf8');
  for (const { path, content } of writtenFiles(await read('docs/scaling.md'), all))
    t.true((await read(path)) === content, path);
});
