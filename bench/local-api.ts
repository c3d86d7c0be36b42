import { readDevEnv } from '../dev/env.js';
import { prepareDataDir } from '../dev/paths.js';
import {
  createApplicationProcess,
  runMigrations,
  type ApplicationProcess,
} from '../dev/stack/processes/application.js';
import { loadSecrets } from '../dev/stack/secrets.js';
import { serviceEnvironment } from '../dev/stack/service-environment.js';
import { openStack } from '../dev/stack/stack.js';

/** A running API with servers of its own, on free ports, for one benchmark. */
export interface LocalApi {
  readonly server: ApplicationProcess;
  readonly postgresUrl: string;
  /** The environment of the API. */
  readonly environment: Readonly<Record<string, string>>;
  /** Stops the API and its servers. */
  close(): Promise<void>;
}

/** Options of the API. */
export interface LocalApiOptions {
  /** All data is kept below it. */
  readonly dataDir: string;
  /** False: the database runs without fsync. */
  readonly durable: boolean;
  /** Variables for the API, unless they are set in the environment. */
  readonly variables: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Opens the servers, migrates the database and starts the API. */
export async function openLocalApi(options: LocalApiOptions): Promise<LocalApi> {
  const { dataDir, durable, variables, signal } = options;
  const stack = await openStack({ dataDir, ports: 'any', durable, signal });
  try {
    const layout = await prepareDataDir(dataDir);
    const secrets = await loadSecrets(dataDir);
    const environmentAt = (api: string): Record<string, string> => ({
      ...variables,
      ...serviceEnvironment({ ...readDevEnv(), dataDir }, secrets, {
        api,
        postgres: stack.postgresUrl,
        redis: stack.redisUrl,
        firehose: stack.firehoseUrl,
        mail: stack.mail,
      }),
    });
    await runMigrations(environmentAt('http://localhost'), layout);
    const server = await createApplicationProcess(
      { name: 'api', script: 'dist/api/main.js', portVariable: 'PORT', preferredPort: 0, layout },
      environmentAt,
    );
    const close = async (): Promise<void> => {
      await server.close();
      await stack.close();
    };
    await server.start({ signal }).catch(async (error: unknown) => {
      await server.close();
      throw error;
    });
    return {
      server,
      postgresUrl: stack.postgresUrl,
      environment: environmentAt(server.url),
      close,
    };
  } catch (error) {
    await stack.close();
    throw error;
  }
}
