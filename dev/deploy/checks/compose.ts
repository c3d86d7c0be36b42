import { parse } from 'yaml';
import type { Tier } from '../bundle.js';
import type { DeployFinding } from './finding.js';
import { isRecord, recordOf } from './config-files.js';

/** A service of a compose file, as far as it is used here. */
export interface Service {
  readonly image: string;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly ports: readonly string[];
  readonly volumes: readonly string[];
  /** By service: the condition. */
  readonly dependsOn: Readonly<Record<string, string>>;
  readonly stopGraceSeconds: number;
  /** Everything, as it stands. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/** Which service answers on port 80 of the host, and to whom. */
const doors: Readonly<Record<Tier, { readonly service: string; readonly port: string }>> = {
  // The load balancer.
  web: { service: 'api', port: '0.0.0.0:80:5000' },
  // The daemon on the host, and nobody else.
  worker: { service: 'worker', port: '127.0.0.1:80:8080' },
};
/** Docker's own, where a service names none. */
const DEFAULT_GRACE_SECONDS = 10;

/** The services by name. @throws for what is no compose file. */
export function readServices(text: string): Readonly<Record<string, Service>> {
  const content = parse(text, { merge: true }) as unknown;
  const services = recordOf(recordOf(content)['services']);
  return Object.fromEntries(
    Object.entries(services).map(([name, raw]) => [name, readService(recordOf(raw))]),
  );
}

function readService(raw: Readonly<Record<string, unknown>>): Service {
  const list = (name: string): string[] => {
    const value = raw[name];
    return Array.isArray(value) ? value.map(String) : [];
  };
  const conditions = Object.entries(recordOf(raw['depends_on'])).map(([name, dependency]) => [
    name,
    String(recordOf(dependency)['condition']),
  ]);
  const environment = Object.entries(recordOf(raw['environment'])).map(([name, value]) => [
    name,
    String(value),
  ]);
  return {
    image: typeof raw['image'] === 'string' ? raw['image'] : '',
    command: list('command'),
    environment: Object.fromEntries(environment) as Record<string, string>,
    ports: list('ports'),
    volumes: list('volumes'),
    dependsOn: Object.fromEntries(conditions) as Record<string, string>,
    stopGraceSeconds: secondsOf(raw['stop_grace_period']),
    raw,
  };
}

const secondsOf = (text: unknown): number =>
  typeof text === 'string' && /^\d+s$/.test(text)
    ? Number.parseInt(text, 10)
    : DEFAULT_GRACE_SECONDS;

/** What the compose file of a bundle must be, beyond its form. */
export function checkCompose(
  tier: Tier,
  text: string,
  {
    where,
    stopSeconds,
    madeFolders,
    files,
  }: {
    readonly where: string;
    /** What the process takes to stop, at most. */
    readonly stopSeconds: number;
    /** The folders of the host that hooks make. */
    readonly madeFolders: readonly string[];
    /** What is in the bundle. */
    readonly files: readonly string[];
  },
): DeployFinding[] {
  let services: Readonly<Record<string, Service>>;
  try {
    services = readServices(text);
  } catch (error) {
    return [{ where, problem: String(error) }];
  }
  const problems = Object.entries(services).flatMap(([name, service]) =>
    problemsOf(service, madeFolders, files).map((problem) => `${name}: ${problem}`),
  );
  const door = doors[tier];
  const published = Object.entries(services).flatMap(([name, { ports }]) =>
    ports.map((port) => `${name} ${port}`),
  );
  if (published.join() !== `${door.service} ${door.port}`)
    problems.push(
      `must publish ${door.service} ${door.port} and nothing else, not ${published.join() || 'nothing'}`,
    );
  const main = services[door.service];
  if (main?.dependsOn['migrate'] !== 'service_completed_successfully')
    problems.push(`${door.service} must wait until migrate has succeeded`);
  if (services['migrate']?.command.join(' ') !== 'node dist/migrations/run.js up')
    problems.push('migrate must run the migrations');
  if (main && main.stopGraceSeconds <= stopSeconds)
    problems.push(
      `${door.service}: stop_grace_period must exceed ${stopSeconds} s, which it takes to stop`,
    );
  return problems.map((problem) => ({ where, problem }));
}

function problemsOf(
  { raw, image, volumes, environment }: Service,
  made: readonly string[],
  files: readonly string[],
): string[] {
  const env = raw['env_file'];
  const rules: readonly (readonly [holds: boolean, problem: string])[] = [
    [image !== '' && !('build' in raw), 'must run an image and build none'],
    [!image.endsWith(':latest'), 'its image may become another one'],
    [Array.isArray(env) && env.includes('.env'), 'must read .env, which Elastic Beanstalk writes'],
    [
      raw['read_only'] === true && String(raw['cap_drop']) === 'ALL',
      'must be read-only, without capabilities',
    ],
    [
      String(raw['security_opt']) === 'no-new-privileges:true' && !('privileged' in raw),
      'must gain no privileges',
    ],
    [
      isRecord(raw['logging']) && 'max-size' in recordOf(raw['logging']['options']),
      'its log must be bounded',
    ],
    [
      !Object.keys(environment).some((name) => /SECRET|PASSWORD|PEPPER|TOKEN/.test(name)),
      'holds a secret',
    ],
  ];
  const mounts = volumes.flatMap((volume) => {
    const [source = ''] = volume.split(':');
    const isThere = source.startsWith('./')
      ? files.includes(source.slice(2))
      : made.includes(source);
    return isThere ? [] : [`nothing makes ${source}, which it mounts`];
  });
  return [...rules.filter(([holds]) => !holds).map(([, problem]) => problem), ...mounts];
}
