/** The names of environments; each has its own file in settings/. */
export type EnvironmentName = 'development' | 'staging' | 'production';

/** One environment, in full. Nothing here is secret, and no account is named: it is the one that the CDK is logged in to. */
export interface EnvironmentSettings {
  readonly name: EnvironmentName;
  readonly region: string;
  /** The branch that is deployed. */
  readonly branch: string;
  /** A hosted zone that exists in Route 53. */
  readonly zone: { readonly id: string; readonly name: string };
  /** Where the API answers: the zone's name or one below it. */
  readonly domain: string;
  /** Begins the name below elasticbeanstalk.com, which is taken for the whole region. */
  readonly cnamePrefix: string;
  readonly network: NetworkSettings;
  readonly database: DatabaseSettings;
  readonly cache: {
    readonly instance: string;
    /** 0, or at least 1 for Multi-AZ. */ readonly replicas: number;
  };
  readonly search: SearchSettings;
  readonly web: FleetSettings;
  readonly worker: { readonly instance: string; readonly min: number };
  readonly mail: MailSettings;
  /** Recipients of alarm mails, and who may operate. */
  readonly operators: readonly string[];
  /** Asks a person before anything is deployed. */
  readonly isApproved: boolean;
}

export interface NetworkSettings {
  readonly cidr: string;
  /** Each costs about as much as two small instances; with one, its zone is a single point of failure. */
  readonly natGateways: number;
}

export interface DatabaseSettings {
  readonly instance: string;
  readonly isMultiAz: boolean;
  readonly storageGib: number;
  readonly backupDays: number;
  /** Retained when the stack is deleted, and protected from deletion. */
  readonly isKept: boolean;
}

export interface SearchSettings {
  readonly instance: string;
  readonly nodes: number;
  readonly storageGib: number;
}

export interface FleetSettings {
  readonly instance: string;
  readonly min: number;
  readonly max: number;
}

export interface MailSettings {
  /** Sender, at the zone or below it. */
  readonly from: string;
  /**
   * Mails a second. SES grants a rate to the account, 14 at first, and environments do not know of one another: all of them
   * together must not exceed it.
   */
  readonly rate: number;
}

/** The repository that is built and deployed. */
export interface RepositorySettings {
  readonly owner: string;
  readonly name: string;
  /**
   * The numbers of both, with which repositories made since July 2026 begin their subjects: `gh api repos/OWNER/NAME`.
   * Without them the older form is expected.
   */
  readonly ids?: { readonly owner: number; readonly repository: number };
}

/** The platform of Elastic Beanstalk; managed updates raise its minor version by themselves. */
export const platform = 'Docker running on 64bit Amazon Linux 2023/4.13.7';

const SECONDS_A_MAIL = 0.35;
const CONNECTIONS_OF_A_WORKER = 20;

/** As many workers as reach the rate, and one more (docs/scaling.md). */
export const workersAtMost = (mailRate: number): number =>
  Math.ceil((mailRate * SECONDS_A_MAIL) / CONNECTIONS_OF_A_WORKER) + 1;

/** Instances that serve while others are replaced: fewer than the most there may be, or none could be replaced. */
export const inServiceAtLeast = ({ min, max }: FleetSettings): number => Math.min(min, max - 1);

/** The subject of the tokens that GitHub gives to jobs of this environment of the repository. */
export function githubSubject(repository: RepositorySettings, environment: string): string {
  const { owner, name, ids } = repository;
  const path = ids ? `${owner}@${ids.owner}/${name}@${ids.repository}` : `${owner}/${name}`;
  return `repo:${path}:environment:${environment}`;
}

/** Throws when settings contradict one another, or what the product needs. */
export function checkSettings(settings: EnvironmentSettings): void {
  const refuse = (problem: string): never => {
    throw new Error(`settings of ${settings.name}: ${problem}`);
  };
  const { domain, zone, mail, worker, web, cache, database } = settings;
  const isWithin = (name: string): boolean => name === zone.name || name.endsWith(`.${zone.name}`);
  if (!isWithin(domain)) refuse(`${domain} is not in the zone ${zone.name}`);
  if (!isWithin(mail.from.slice(mail.from.indexOf('@') + 1)))
    refuse(`${mail.from} is not in the zone ${zone.name}`);
  if (worker.min > workersAtMost(mail.rate))
    refuse(
      `worker.min exceeds the ${workersAtMost(mail.rate)} workers that ${mail.rate} mails per second need`,
    );
  if (web.min > web.max) refuse('web.min exceeds web.max');
  if (settings.operators.length === 0) refuse('nobody would be told of an alarm');
  if (settings.name !== 'production') return;
  if (web.min < 2 || worker.min < 2) refuse('two instances of each tier survive the loss of one');
  if (cache.replicas < 1 || !database.isMultiAz || !database.isKept)
    refuse('PostgreSQL and Valkey stand in two zones, and PostgreSQL is kept');
}
