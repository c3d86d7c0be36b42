import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { bundleFiles, isPinned } from '../../dev/deploy/bundle.js';
import { deploymentChecks } from '../../dev/deploy/check-deployment.js';
import { checkBundle } from '../../dev/deploy/checks/bundle-contents.js';
import { readServices } from '../../dev/deploy/checks/compose.js';
import { checkOptionPairs } from '../../dev/deploy/checks/options.js';
import { checkScaling } from '../../dev/deploy/checks/scaling.js';
import { packZip } from '../../dev/deploy/zip.js';
import { projectRoot } from '../../dev/paths.js';
import { planted } from './planted-faults.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

const signal = new AbortController().signal;
const images = { api: 'api:x', worker: 'worker:x' };

test('nothing that is deployed has a fault that can be found here', async (t) => {
  for (const { name, run } of deploymentChecks(projectRoot, signal))
    t.deepEqual(await run(), [], name);
});

test('each kind of fault is found', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'rollcall-planted-'));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  for (const part of [
    '.ebextensions',
    '.platform',
    'deploy',
    '.github',
    'Dockerfile.api',
    'Dockerfile.worker',
  ])
    await cp(join(projectRoot, part), join(root, part), { recursive: true });
  for (const [, file, from, to] of planted) {
    const path = join(root, file);
    const text = from === '' ? from : await readFile(path, 'utf8');
    t.true(text.includes(from), `${file} holds ${from}`);
    await writeFile(path, text.replace(from, to));
  }

  const found = new Map<string, string[]>();
  for (const { name, run } of deploymentChecks(root, signal))
    found.set(
      name,
      (await run()).map(({ where, problem }) => `${where}: ${problem}`),
    );
  const missed = planted.filter(
    ([check, , , , pattern]) => found.get(check)?.some((line) => pattern.test(line)) !== true,
  );
  const instead = missed.flatMap(([check]) => found.get(check) ?? []);
  t.deepEqual(missed, [], `found instead:\n${[...new Set(instead)].join('\n')}`);
});

test('times that do not fit one another are found', (t) => {
  const option = (namespace: string, name: string, value: string) => ({
    where: 'x',
    namespace,
    name,
    value,
  });
  const settings = [
    option('aws:elbv2:loadbalancer', 'IdleTimeout', '60'),
    option('aws:elasticbeanstalk:environment:process:default', 'DeregistrationDelay', '30'),
    option('aws:elasticbeanstalk:sqsd', 'InactivityTimeout', '60'),
    option('aws:elasticbeanstalk:sqsd', 'VisibilityTimeout', '90'),
    option('aws:elasticbeanstalk:sqsd', 'ErrorVisibilityTimeout', '60'),
    option('aws:elasticbeanstalk:sqsd', 'MaxRetries', '60'),
  ];
  t.deepEqual(
    checkOptionPairs(settings, { apiKeepAliveS: 65, workerKeepAliveS: 75, longestRequestS: 30 }),
    [],
  );
  const findings = checkOptionPairs(settings, {
    apiKeepAliveS: 60,
    workerKeepAliveS: 60,
    longestRequestS: 31,
  });
  t.deepEqual(
    findings.map(({ problem }) => problem.split(' ')[0]),
    ['IdleTimeout', 'DeregistrationDelay', 'InactivityTimeout'],
  );
});

test('as many workers at most as MAIL_RATE needs, and one more', (t) => {
  const option = (namespace: string, name: string, value: string) => ({
    where: 'x',
    namespace,
    name,
    value,
  });
  const findingsFor = (mostInstances: string, mailRate: string) =>
    checkScaling(
      { settings: [option('aws:autoscaling:asg', 'MaxSize', mostInstances)], resources: [] },
      [option('aws:elasticbeanstalk:application:environment', 'MAIL_RATE', mailRate)],
    );
  t.deepEqual(findingsFor('2', '14'), []);
  t.deepEqual(findingsFor('7', '300'), []);
  t.deepEqual(
    findingsFor('4', '14').map(({ problem }) => problem),
    ['MaxSize must be 2 for MAIL_RATE=14: docs/scaling.md'],
  );
});

test('a bundle without its files, or with one more, is noticed', async (t) => {
  const files = await bundleFiles('worker', { root: projectRoot, images });
  t.deepEqual(await checkBundle('worker', files), []);
  const without = files.filter(({ path }) => path !== 'cron.yaml');
  t.deepEqual(await checkBundle('worker', without), [
    { where: 'cron.yaml', problem: 'is missing' },
  ]);
  const env = { path: '.env', mode: 0o644, data: Buffer.from('A=b') };
  t.deepEqual(await checkBundle('worker', [...files, env]), [
    { where: '.env', problem: 'has no business in a bundle' },
  ]);
});

test('the same files make the same bytes, whatever their order and the time zone', async (t) => {
  const files = await bundleFiles('web', { root: projectRoot, images });
  const bytes = await packZip(files);
  t.deepEqual(await packZip(files.toReversed()), bytes);
  // The first date of the format, at midnight, wherever this runs: offset 10 of the first header.
  t.deepEqual(bytes.subarray(10, 14), Buffer.from([0, 0, 0x21, 0]));
});

test('the authority of the database is mounted into every container that connects to it', async (t) => {
  const databaseCa = Buffer.from('-----BEGIN CERTIFICATE-----\n');
  const files = await bundleFiles('web', { root: projectRoot, images, databaseCa });
  t.deepEqual(await checkBundle('web', files), []);
  const compose = files.find(({ path }) => path === 'docker-compose.yml')?.data.toString() ?? '';
  const services = readServices(compose);
  t.deepEqual(Object.keys(services), ['migrate', 'api']);
  for (const { environment, volumes, image } of Object.values(services)) {
    t.is(environment['POSTGRES_CA_FILE'], '/etc/rollcall/database-ca.pem');
    t.true(volumes.includes('./database-ca.pem:/etc/rollcall/database-ca.pem:ro'));
    t.is(image, 'api:x');
  }
});

test('an image is given by digest, or not at all', (t) => {
  const digest = `sha256:${'0'.repeat(64)}`;
  t.true(isPinned(`123456789012.dkr.ecr.eu-central-1.amazonaws.com/rollcall-api@${digest}`));
  for (const image of [
    'rollcall-api',
    'rollcall-api:1.2.3',
    `rollcall-api@${digest.slice(0, -1)}`,
    `a\nb@${digest}`,
  ])
    t.false(isPinned(image), image);
});
