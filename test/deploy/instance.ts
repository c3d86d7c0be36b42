import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { bundleFiles, type Tier } from '../../dev/deploy/bundle.js';
import { readServices, type Service } from '../../dev/deploy/checks/compose.js';
import { readConfiguration } from '../../dev/deploy/checks/config-files.js';
import { packZip, unpackZip } from '../../dev/deploy/zip.js';
import { projectRoot } from '../../dev/paths.js';
import { claimPort, loopback } from '../../dev/stack/processes/ports.js';
import type { Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { ask } from '../helpers/http.js';

/** A bundle that runs as on an instance of Elastic Beanstalk, but without Docker. */
export interface Instance {
  /** What answers on port 80 of the host. */
  readonly url: string;
  /** The services in the order in which they ended or came to answer. */
  readonly started: readonly string[];
  /** The folder that stands for this one of the host. */
  hostFolder(path: string): string;
}

const images = { api: 'rollcall-api:test', worker: 'rollcall-worker:test' };
const dockerfiles: Readonly<Record<string, string>> = {
  [images.api]: 'Dockerfile.api',
  [images.worker]: 'Dockerfile.worker',
};
const PROPERTIES = 'aws:elasticbeanstalk:application:environment';

/**
 * Packs and unpacks the bundle of a tier, writes `.env` as Elastic Beanstalk does, and starts the services of the compose
 * file in their order: each image is the folders that its Dockerfile copies, each port another one that is free.
 * @param properties of the environment, over those of the configuration files.
 */
export async function startInstance(
  scope: Scope,
  tier: Tier,
  properties: Readonly<Record<string, string | undefined>>,
): Promise<Instance> {
  const host = await mkdtemp(join(tmpdir(), `rollcall-${tier}-`));
  scope.teardown(() => rm(host, { recursive: true, force: true, maxRetries: 5 }));
  const app = join(host, 'var/app/current');
  const files = await unpackZip(
    await packZip(await bundleFiles(tier, { root: projectRoot, images })),
  );
  for (const { path, mode, data } of files) {
    await mkdir(dirname(join(app, path)), { recursive: true });
    await writeFile(join(app, path), data);
    await chmod(join(app, path), mode);
  }
  await writeFile(join(app, '.env'), envFile({ ...ownProperties(files), ...properties }));
  await makeFolders(host, app);

  const services = readServices(await readFile(join(app, 'docker-compose.yml'), 'utf8'));
  const started: string[] = [];
  let url = '';
  for (const name of inOrder(services)) {
    const service = services[name];
    if (!service) continue;
    const container = await createContainer(host, app, name, service);
    const child = spawn(process.execPath, container.args, {
      cwd: container.root,
      env: container.env,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    const isOnce = Object.values(services).some(
      ({ dependsOn }) => dependsOn[name] === 'service_completed_successfully',
    );
    if (isOnce) {
      const [code] = (await once(child, 'close')) as [number | null];
      if (code !== 0) throw new Error(`${name} ended with ${code}:\n${output}`);
    } else {
      scope.teardown(() => stop(child, service.stopGraceSeconds));
      const { claim } = container;
      if (claim) scope.teardown(() => claim.release());
      url = `http://${loopback}:${claim?.port}`;
      await eventually(() => child.exitCode !== null || isLive(url), {
        of: name,
        withinMs: 60_000,
      });
      if (child.exitCode !== null) throw new Error(`${name} ended early:\n${output}`);
    }
    started.push(name);
  }
  return { url, started, hostFolder: (path) => join(host, path) };
}

/** The properties that the configuration files set; what refers to a resource has a value when it is made. */
function ownProperties(files: Parameters<typeof readConfiguration>[0]): Record<string, string> {
  const own = readConfiguration(files).settings.filter(({ namespace }) => namespace === PROPERTIES);
  return Object.fromEntries(
    own.map(({ name, value }) => [name, String(value).replace(/^`\{"Ref": "(.+)"\}`$/, '$1')]),
  );
}

/** As the platform writes it: unquoted, each `$` doubled. */
const envFile = (properties: Readonly<Record<string, string | undefined>>): string =>
  Object.entries(properties)
    .filter(([, value]) => value !== undefined)
    .map(([name, value = '']) => `${name}=${value.replaceAll('$', '$$$$')}\n`)
    .join('');

const parseEnv = (text: string): Record<string, string> =>
  Object.fromEntries(
    text
      .split('\n')
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );

/** What the hook does for the folders of the host. */
async function makeFolders(host: string, app: string): Promise<void> {
  const hook = await readFile(join(app, '.platform/hooks/prebuild/20-folders.sh'), 'utf8');
  for (const [, folders = ''] of hook.matchAll(/^mkdir -p (.+)$/gm))
    for (const folder of folders.split(' ')) await mkdir(join(host, folder), { recursive: true });
}

/** Each service after those that it waits for. */
function inOrder(services: Readonly<Record<string, Service>>): string[] {
  const order: string[] = [];
  const visit = (name: string): void => {
    for (const needed of Object.keys(services[name]?.dependsOn ?? {})) visit(needed);
    if (!order.includes(name)) order.push(name);
  };
  Object.keys(services).forEach(visit);
  return order;
}

async function createContainer(host: string, app: string, name: string, service: Service) {
  const root = join(host, 'containers', name);
  const dockerfile = await readFile(join(projectRoot, dockerfiles[service.image] ?? ''), 'utf8');
  await mkdir(root, { recursive: true });
  await symlink(join(projectRoot, 'node_modules'), join(root, 'node_modules'));
  await cp(join(projectRoot, 'package.json'), join(root, 'package.json'));
  for (const [, from = '', to = ''] of dockerfile.matchAll(
    /^COPY --from=build \/app\/(\S+) (\S+)$/gm,
  ))
    await cp(join(projectRoot, from), join(root, to), { recursive: true });

  const [program, ...args] =
    service.command.length > 0 ? service.command : defaultCommand(dockerfile);
  if (program !== 'node') throw new Error(`${name} runs ${program}`);
  const inner = service.ports[0]?.split(':').at(-1);
  const claim = inner === undefined ? undefined : await claimPort(0);
  const env = {
    ...inherited(),
    ...defaultEnvironment(dockerfile),
    ...parseEnv(await readFile(join(app, '.env'), 'utf8')),
    ...service.environment,
  };
  for (const [variable, value] of Object.entries(env))
    env[variable] = outside(host, service, value) ?? value;
  // A port that is free in place of the container's own.
  if (claim) {
    for (const [variable, value] of Object.entries(service.environment))
      if (value === inner && variable.endsWith('PORT')) env[variable] = String(claim.port);
  }
  return { root, args, env, claim };
}

/** The folder of the host that is mounted there in the container. */
function outside(host: string, { volumes }: Service, path: string): string | undefined {
  const mount = volumes.map((volume) => volume.split(':')).find(([, target]) => target === path);
  return mount?.[0] === undefined ? undefined : join(host, mount[0]);
}

const defaultCommand = (dockerfile: string): string[] =>
  parse(/^CMD (\[.+\])$/m.exec(dockerfile)?.[1] ?? '[]') as string[];

const defaultEnvironment = (dockerfile: string): Record<string, string> =>
  parseEnv((/^ENV (.+)$/m.exec(dockerfile)?.[1] ?? '').replaceAll(' ', '\n'));

/** What a program needs of this machine; coverage is collected in child processes too. */
function inherited(): Record<string, string> {
  const names = ['PATH', 'HOME', 'NODE_V8_COVERAGE'] as const;
  const given = names.map((name) => [name, process.env[name]] as const);
  return Object.fromEntries(
    given.filter((entry): entry is [(typeof names)[number], string] => entry[1] !== undefined),
  );
}

async function isLive(url: string): Promise<boolean> {
  try {
    return (
      (await ask(`${url}/health/live`, { signal: AbortSignal.timeout(10_000) })).status === 200
    );
  } catch {
    return false;
  }
}

/** As `docker stop` does. */
async function stop(child: ChildProcess, graceSeconds: number): Promise<void> {
  if (child.exitCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  const lastResort = setTimeout(() => child.kill('SIGKILL'), graceSeconds * 1_000);
  const [code] = (await closed) as [number | null];
  clearTimeout(lastResort);
  if (code !== 0)
    throw new Error(`it ended with ${child.signalCode ?? code} within its grace period`);
}
