import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import * as z from 'zod';
import { projectRoot } from '../../dev/paths.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';

const context = useSharedContext('api');
const api = useApi(context);

const Lockfile = z.object({
  packages: z.record(
    z.string(),
    z.object({
      version: z.string().optional(),
      resolved: z.string().optional(),
      integrity: z.string().optional(),
      dev: z.boolean().optional(),
      optional: z.boolean().optional(),
      link: z.boolean().optional(),
      os: z.array(z.string()).default([]),
      cpu: z.array(z.string()).default([]),
    }),
  ),
});
const MinVersions = z.object({
  packages: z.record(
    z.string(),
    z.object({ atLeast: z.string(), because: z.array(z.string()).min(1) }),
  ),
});
const Bom = z.object({
  bomFormat: z.literal('CycloneDX'),
  components: z.array(
    z.object({
      purl: z.string(),
      hashes: z.array(z.unknown()).optional(),
      properties: z.array(z.object({ name: z.string() })).default([]),
    }),
  ),
});
const WithoutIntegrity = z.object({ packages: z.array(z.string()) });

const read = (path: string): Promise<string> => readFile(join(projectRoot, path), 'utf8');
const nameOf = (path: string): string =>
  path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

/** Every package that the lock file names, by its place in node_modules. */
async function lockedPackages() {
  const { packages } = Lockfile.parse(JSON.parse(await read('package-lock.json')));
  return Object.entries(packages)
    .filter(([path]) => path !== '')
    .map(([path, entry]) => Object.assign(entry, { path, name: nameOf(path) }));
}

test('S80 every package has a checksum, and comes from the one registry', async (t) => {
  const { packages: excused } = WithoutIntegrity.parse(
    JSON.parse(await read('security/without-integrity.json')),
  );
  const locked = await lockedPackages();
  t.true(locked.length > 500);
  for (const { path, resolved, link, integrity } of locked) {
    t.falsy(link, `${path} is a link`);
    if (resolved !== undefined) t.regex(resolved, /^https:\/\/registry\.npmjs\.org\//, path);
    if (integrity !== undefined) t.regex(integrity, /^sha512-[A-Za-z0-9+/]{86}==$/, path);
  }
  const bare = locked.filter(({ integrity }) => integrity === undefined);
  t.deepEqual(bare.map(({ name, version }) => `${name}@${version}`).toSorted(), excused.toSorted());
  for (const { path, name, optional, dev, os, cpu } of bare) {
    const isOurs =
      os.includes('linux') &&
      (cpu.includes('x64') || cpu.includes('arm64')) &&
      !name.endsWith('-musl');
    t.true(optional === true && os.length > 0 && !isOurs, `${path} would be installed unchecked`);
    t.true(dev === true || name.startsWith('@msgpackr-extract/'), `${path} goes to production`);
  }
});

test('S80 nothing that production runs is older than its advisories allow', async (t) => {
  const { packages: wanted } = MinVersions.parse(
    JSON.parse(await read('security/min-versions.json')),
  );
  const locked = await lockedPackages();
  for (const [name, { atLeast, because }] of Object.entries(wanted)) {
    const inProduction = locked.filter((entry) => entry.name === name && entry.dev !== true);
    t.true(inProduction.length > 0, `${name} is not used any more: take it out of the list`);
    for (const { path, version = '' } of inProduction) {
      t.true(
        compareVersions(version, atLeast) >= 0,
        `${path} is ${version}: ${because.join('; ')}`,
      );
    }
  }
});

test('S80 versions are compared as numbers', (t) => {
  for (const [older, newer] of [
    ['1.9.9', '1.10.0'],
    ['9.1.1', '10.0.0'],
    ['1.0.0-rc.1', '1.0.0'],
  ] as const) {
    t.true(compareVersions(older, newer) < 0);
    t.true(compareVersions(newer, older) > 0);
    t.is(compareVersions(newer, newer), 0);
  }
});

test('S80 packages are installed as they are locked, and none runs a script of its own then', async (t) => {
  const files = [
    'Dockerfile.api',
    'Dockerfile.worker',
    'Dockerfile.firehose',
    'dev/bootstrap.mjs',
    '.ci/run',
  ];
  for (const file of await readdir(join(projectRoot, '.github/workflows')))
    files.push(`.github/workflows/${file}`);
  let installs = 0;
  for (const file of files) {
    const source = await read(file);
    t.notRegex(source, /\bnpm (?:i|install|update)\b|\bnpx\b|\byarn\b|\bpnpm\b/, file);
    for (const [command] of source.matchAll(/npm ci\b.*|\['ci',[^\]]*\]/g)) {
      if (/npm ci failed/.test(command)) continue;
      installs += 1;
      t.true(command.includes('--ignore-scripts'), `${file}: ${command}`);
    }
  }
  t.true(installs >= 4, `${installs} installations`);
});

test('S80 the images hold what they need: pinned bases, no secret, no root', async (t) => {
  for (const file of ['Dockerfile.api', 'Dockerfile.worker']) {
    const lines = (await read(file)).split('\n');
    const bases = lines.filter((line) => line.startsWith('FROM '));
    t.true(bases.length > 1, 'what builds is not what runs');
    for (const base of bases) t.regex(base, /^FROM \S+:[\d.]+\S*@sha256:[0-9a-f]{64}/, file);
    t.deepEqual(
      lines.filter((line) => line.startsWith('USER ')),
      ['USER node'],
      file,
    );
    t.notRegex(lines.join('\n'), /^(?:ARG|ENV) .*(?:SECRET|PASSWORD|TOKEN|KEY|PEPPER)/im, file);
    t.notRegex(lines.join('\n'), /^ADD |COPY \. /m, file);
  }
  const [first, second] = (await read('.dockerignore'))
    .split('\n')
    .filter((line) => !line.startsWith('#'));
  t.deepEqual([first, second?.startsWith('!')], ['*', true], 'only what is named gets in');
});

// npm's own `--omit dev` would leave out what a development tool needs too: nodemailer, express's parts, zod.
test('S80 the list of parts names every package with its checksum, and tells which ones are for development', async (t) => {
  const { stdout } = await promisify(execFile)(
    'npm',
    ['sbom', '--package-lock-only', '--sbom-format', 'cyclonedx'],
    { cwd: projectRoot, maxBuffer: 64 * 1_024 * 1_024 },
  );
  const { components } = Bom.parse(JSON.parse(stdout));
  const listed = new Map(components.map((each) => [each.purl.replace('%40', '@'), each]));
  for (const { name, version, dev, integrity } of await lockedPackages()) {
    const part = listed.get(`pkg:npm/${name}@${version}`);
    t.truthy(part, `${name}@${version}`);
    if (integrity !== undefined) t.is(part?.hashes?.length, 1, name);
    const isForDevelopment = part?.properties.some(
      (each) => each.name === 'cdx:npm:package:development',
    );
    if (dev !== true) t.false(isForDevelopment, name);
  }
});

test('S80 what lies beside the product is not served', async (t) => {
  for (const path of [
    '/.env',
    '/.env.example',
    '/.git/HEAD',
    '/.git/config',
    '/package.json',
    '/package-lock.json',
    '/node_modules/express/package.json',
    '/dist/api/main.js',
    '/api/main.ts',
    '/Dockerfile.api',
    '/.dockerignore',
    '/../package.json',
    '/apidocs/../../package.json',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/server-status',
    '/debug/pprof',
  ]) {
    t.is((await api.client.raw('GET', path)).status, 404, path);
  }
});

function compareVersions(one: string, other: string): number {
  const [a, b] = [one, other].map((version) => /^(\d+)\.(\d+)\.(\d+)(-.+)?$/.exec(version));
  if (!a || !b) throw new Error(`not versions: ${one}, ${other}`);
  for (const place of [1, 2, 3]) {
    const difference = Number(a[place]) - Number(b[place]);
    if (difference !== 0) return difference;
  }
  // Before a release come its candidates.
  return Number(a[4] === undefined) - Number(b[4] === undefined);
}
