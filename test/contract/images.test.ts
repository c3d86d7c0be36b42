import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { parse } from 'yaml';
import * as z from 'zod';
import { projectRoot } from '../../dev/paths.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

const run = promisify(execFile);

/** What each image is built from, and the programs that it must be able to start. */
const images = [
  {
    file: 'Dockerfile.api',
    sources: ['api', 'cli', 'docs/runbook.md', 'migrations', 'shared'],
    programs: ['dist/api/main.js', 'dist/migrations/run.js'],
  },
  {
    file: 'Dockerfile.worker',
    sources: ['shared', 'workers'],
    programs: ['dist/workers/main.js'],
  },
  {
    file: 'Dockerfile.firehose',
    sources: [
      'dev/emulators/firehose',
      'dev/env.ts',
      'dev/paths.ts',
      'shared/http/network-address.ts',
    ],
    programs: [],
  },
];
const manifests = ['package.json', 'package-lock.json', 'tsconfig.json', 'bundle.mjs'];

for (const { file, sources, programs } of images) {
  test(`${file} is built from its own folders and nothing else`, async (t) => {
    const taken = copies(await readDockerfile(file)).filter(({ from }) => from === undefined);
    const names = new Set(taken.flatMap((copy) => copy.sources));
    t.deepEqual([...names].filter((name) => !manifests.includes(name)).toSorted(), sources);
  });

  test(`${file} copies nothing that .dockerignore holds back`, async (t) => {
    const rules = (await readFile(join(projectRoot, '.dockerignore'), 'utf8')).split('\n');
    const isLetIn = (source: string): boolean =>
      rules.some((rule) => rule.startsWith('!') && `${source}/`.startsWith(`${rule.slice(1)}/`));
    const taken = copies(await readDockerfile(file)).filter(({ from }) => from === undefined);
    const names = taken.flatMap((copy) => copy.sources);
    t.true(names.length > 0);
    t.deepEqual(
      names.filter((source) => !isLetIn(source)),
      [],
    );
  });

  test(`${file} describes an image that is pinned, unprivileged, probed and without secrets`, async (t) => {
    t.deepEqual(faultsOf(await readDockerfile(file)), []);
  });

  for (const program of programs) {
    test(`${file} holds all that ${program} needs to start`, async (t) => {
      const root = await mkdtemp(join(tmpdir(), 'rollcall-image-'));
      t.teardown(() => rm(root, { recursive: true, force: true }));
      await symlink(join(projectRoot, 'node_modules'), join(root, 'node_modules'));
      await cp(join(projectRoot, 'package.json'), join(root, 'package.json'));
      for (const { from, sources: built } of copies(await readDockerfile(file))) {
        if (from !== 'build') continue;
        for (const source of built) {
          const folder = source.replace('/app/', '');
          await cp(join(projectRoot, folder), join(root, folder), { recursive: true });
        }
      }
      // Every module is loaded before the empty environment is refused.
      const error = await t.throwsAsync(
        run('node', [program], { cwd: root, env: { NODE_ENV: 'production' } }),
      );
      t.like(error, { code: 78 }, error?.message ?? '');
    });
  }
}

for (const file of ['Dockerfile.api', 'Dockerfile.worker']) {
  test(`${file} has a spool for log lines that is a volume and the user’s own`, async (t) => {
    const instructions = await readDockerfile(file);
    const dir = /SPOOL_DIR=(\S+)/.exec(lastOf(instructions, 'ENV') ?? '')?.[1] ?? '';
    t.regex(dir, /^\/var\/lib\//);
    t.is(lastOf(instructions, 'VOLUME'), dir);
    // Made before the volume is declared: what comes after is not in it.
    const made = { keyword: 'RUN', args: `install -d -o node -g node -m 0700 ${dir}` };
    const [making, declaring] = [made, { keyword: 'VOLUME', args: dir }].map((wanted) =>
      instructions.findIndex(
        ({ keyword, args }) => keyword === wanted.keyword && args === wanted.args,
      ),
    );
    t.true(making !== undefined && making > 0 && making < (declaring ?? 0));
    t.deepEqual(
      (await readServices())[file.replace('Dockerfile.', '')]?.volumes,
      [`log-spool:${dir}`],
      'in compose it outlives the container, and both share it',
    );
  });
}

for (const file of ['Dockerfile.api', 'Dockerfile.worker']) {
  test(`${file} makes the commit that it is given a part of the version`, async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'rollcall-version-'));
    t.teardown(() => rm(root, { recursive: true, force: true }));
    const manifest = await readFile(join(projectRoot, 'package.json'), 'utf8');
    const { version } = z.object({ version: z.string() }).parse(JSON.parse(manifest));
    const instructions = await readDockerfile(file);
    const steps = instructions.filter(
      ({ keyword, args }) => keyword === 'RUN' && args.includes('COMMIT'),
    );
    for (const [commit, expected] of [
      ['', version],
      ['abc1234', `${version}+abc1234`],
    ] as const) {
      await writeFile(join(root, 'package.json'), manifest);
      for (const { args } of steps)
        await run('sh', ['-c', args], { cwd: root, env: { ...process.env, COMMIT: commit } });
      const changed = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as object;
      t.deepEqual(changed, { ...(JSON.parse(manifest) as object), version: expected });
    }
  });
}

test('what builds images for a deployment gives them the commit', async (t) => {
  for (const file of ['.github/workflows/deploy.yml', 'docs/deploy.md']) {
    const lines = (await readFile(join(projectRoot, file), 'utf8')).split('\n');
    const builds = lines.filter((line) => line.trim().startsWith('docker build '));
    t.true(builds.length > 0, file);
    for (const line of builds) t.regex(line, /--build-arg "?COMMIT=\$/, file);
  }
});

test('a careless Dockerfile is caught, fault by fault', (t) => {
  const faults = faultsOf(
    parseDockerfile(`
      FROM node:24 AS build
      ARG NPM_TOKEN
      ENV SECRET_KEY=abc
      RUN npm install
      COPY --from=build /app .
      CMD npm start`),
  );
  t.deepEqual(faults, [
    'FROM node:24 AS build: not pinned by version and digest',
    'ARG NPM_TOKEN: stays in the history of the image',
    'ENV SECRET_KEY=abc: a secret',
    'RUN npm install: not npm ci --ignore-scripts',
    'COPY --from=build /app .: more than built folders',
    'CMD npm start: not node itself',
    'USER: not node',
    'HEALTHCHECK: missing',
  ]);
});

test('docker-compose.yml publishes on loopback alone', async (t) => {
  const published = Object.values(await readServices()).flatMap((service) => service.ports);
  t.true(published.length > 0);
  for (const port of published) t.regex(port, /^127\.0\.0\.1:/);
});

test('docker-compose.yml holds no secret: each comes from .env, and is demanded', async (t) => {
  const entries = Object.values(await readServices()).flatMap((service) =>
    Object.entries(service.environment),
  );
  const secrets = entries.filter(([name]) => isSecret(name));
  t.true(secrets.length > 0);
  for (const [name, value] of secrets) t.true(value.startsWith(`\${${name}:?`), name);
});

test('docker-compose.yml runs our images read-only and without privileges, and starts them in order', async (t) => {
  const services = await readServices();
  const ours = Object.entries(services).filter(([, service]) => service.build !== undefined);
  t.deepEqual(ours.map(([name]) => name).toSorted(), ['api', 'firehose', 'migrate', 'worker']);
  for (const [name, service] of ours) {
    t.like(service, { init: true, read_only: true, cap_drop: ['ALL'] }, name);
    t.deepEqual(service.security_opt, ['no-new-privileges:true'], name);
  }
  const afterMigrations = { migrate: { condition: 'service_completed_successfully' } };
  t.like(services['api']?.depends_on, afterMigrations);
  t.like(services['worker']?.depends_on, afterMigrations);
  t.like(services['migrate']?.depends_on, { postgres: { condition: 'service_healthy' } });
  t.is(services['worker']?.stop_grace_period, '40s');
});

test('docker-compose.yml keeps every job in Redis: on disk, never evicted', async (t) => {
  const command = (await readServices())['redis']?.command?.join(' ') ?? '';
  t.regex(command, /--appendonly yes/);
  t.regex(command, /--maxmemory-policy noeviction/);
});

interface Instruction {
  readonly keyword: string;
  readonly args: string;
}

async function readDockerfile(file: string): Promise<Instruction[]> {
  return parseDockerfile(await readFile(join(projectRoot, file), 'utf8'));
}

function parseDockerfile(text: string): Instruction[] {
  const lines = text.replaceAll('\\\n', ' ').split('\n');
  return lines
    .map((line) => line.trim().replaceAll(/\s+/g, ' '))
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [keyword = ''] = line.split(' ', 1);
      return { keyword, args: line.slice(keyword.length + 1) };
    });
}

/** The COPY instructions: from which stage (none: from the build context), and what. */
function copies(instructions: readonly Instruction[]) {
  return instructions
    .filter(({ keyword }) => keyword === 'COPY')
    .map(({ args }) => {
      const words = args.split(' ');
      const from = /^--from=(.+)$/.exec(words[0] ?? '')?.[1];
      return { from, sources: words.slice(from === undefined ? 0 : 1, -1) };
    });
}

function faultsOf(instructions: readonly Instruction[]): string[] {
  const faults = instructions.flatMap((instruction) => {
    const fault = faultOf(instruction);
    return fault === undefined ? [] : [`${instruction.keyword} ${instruction.args}: ${fault}`];
  });
  if (lastOf(instructions, 'USER') !== 'node') faults.push('USER: not node');
  if (lastOf(instructions, 'HEALTHCHECK') === undefined) faults.push('HEALTHCHECK: missing');
  return faults;
}

function faultOf({ keyword, args }: Instruction): string | undefined {
  switch (keyword) {
    case 'FROM':
      return /^node:\d+\.\d+\.\d+-[a-z-]+@sha256:[0-9a-f]{64}( AS \w+)?$/.test(args)
        ? undefined
        : 'not pinned by version and digest';
    case 'ARG':
      return args === 'COMMIT' ? undefined : 'stays in the history of the image';
    case 'ENV':
      return isSecret(args) ? 'a secret' : undefined;
    case 'RUN':
      return /\bnpm (?!run|ci .*--ignore-scripts)/.test(args)
        ? 'not npm ci --ignore-scripts'
        : undefined;
    case 'COPY':
      return /^(?!--from=)|^--from=dependencies \/app\/node_modules |^--from=build \/app\/dist\/\w+ /.test(
        args,
      )
        ? undefined
        : 'more than built folders';
    case 'CMD':
      return args.startsWith('["node", ') ? undefined : 'not node itself';
    default:
      return undefined;
  }
}

function lastOf(instructions: readonly Instruction[], keyword: string): string | undefined {
  return instructions.findLast((instruction) => instruction.keyword === keyword)?.args;
}

function isSecret(name: string): boolean {
  return /SECRET_KEY|PASSWORD|PEPPER|TOKEN/.test(name);
}

const composeFile = z.object({
  services: z.record(
    z.string(),
    z.looseObject({
      build: z.unknown().optional(),
      command: z.array(z.string()).optional(),
      depends_on: z.record(z.string(), z.object({ condition: z.string() })).optional(),
      environment: z.record(z.string(), z.coerce.string()).default({}),
      ports: z.array(z.string()).default([]),
      security_opt: z.array(z.string()).default([]),
      stop_grace_period: z.string().optional(),
      volumes: z.array(z.string()).default([]),
    }),
  ),
});

async function readServices() {
  const text = await readFile(join(projectRoot, 'docker-compose.yml'), 'utf8');
  return composeFile.parse(parse(text, { merge: true })).services;
}
