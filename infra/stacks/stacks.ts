import { Tags, type App, type StackProps } from 'aws-cdk-lib';
import {
  checkSettings,
  type EnvironmentSettings,
  type RepositorySettings,
} from '../environment.js';
import { AccountStack } from './account.js';
import { AlarmsStack } from './alarms.js';
import { DataStack } from './data.js';
import { DeliveryStack } from './delivery.js';
import { LogsStack } from './logs.js';
import { MailStack } from './mail.js';
import { NetworkStack } from './network.js';
import { ServiceStack } from './service.js';

/** The stacks of one environment. */
export interface EnvironmentStacks {
  readonly network: NetworkStack;
  readonly data: DataStack;
  readonly logs: LogsStack;
  readonly mail: MailStack;
  readonly service: ServiceStack;
  readonly delivery: DeliveryStack;
  readonly alarms: AlarmsStack;
}

export interface AllStacks {
  readonly account: AccountStack;
  readonly environments: Readonly<Record<string, EnvironmentStacks>>;
}

/** Adds every stack. The account is the one that the CDK is logged in to. */
export function addStacks(
  app: App,
  {
    environments,
    repository,
  }: {
    readonly environments: readonly EnvironmentSettings[];
    readonly repository: RepositorySettings;
  },
): AllStacks {
  const [first] = environments;
  if (!first) throw new Error('settings name no environment');
  environments.forEach(checkSettings);
  if (environments.some(({ region }) => region !== first.region))
    throw new Error('environments in several regions need their own images: one region for all');
  const propsOf = (description: string): StackProps => ({
    env: { region: first.region },
    description,
  });
  const account = new AccountStack(
    app,
    'rollcall-account',
    repository,
    propsOf('Rollcall: what an account has once'),
  );
  const all = environments.map(
    (settings) => [settings.name, addEnvironment(app, settings, account, propsOf)] as const,
  );
  Tags.of(app).add('application', 'rollcall');
  return { account, environments: Object.fromEntries(all) };
}

function addEnvironment(
  app: App,
  settings: EnvironmentSettings,
  account: AccountStack,
  propsOf: (description: string) => StackProps,
): EnvironmentStacks {
  const { name } = settings;
  const id = (part: string): string => `rollcall-${name}-${part}`;
  const props = (what: string): StackProps => ({
    ...propsOf(`Rollcall, ${name}: ${what}`),
    tags: { environment: name },
    terminationProtection: settings.database.isKept,
  });
  const network = new NetworkStack(app, id('network'), settings, props('network'));
  const data = new DataStack(
    app,
    id('data'),
    settings,
    network,
    props('PostgreSQL, Valkey, secrets'),
  );
  const logs = new LogsStack(app, id('logs'), settings, { network, data }, props('log lines'));
  const mail = new MailStack(app, id('mail'), settings, props('mail'));
  const parts = { account, network, data, logs };
  const service = new ServiceStack(app, id('service'), settings, parts, props('both tiers'));
  const delivery = new DeliveryStack(
    app,
    id('delivery'),
    settings,
    { ...parts, service },
    props('delivery'),
  );
  const alarms = new AlarmsStack(
    app,
    id('alarms'),
    settings,
    { data, logs, service },
    props('alarms'),
  );
  return { network, data, logs, mail, service, delivery, alarms };
}
