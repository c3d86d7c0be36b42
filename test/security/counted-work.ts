import bcrypt from 'bcrypt';
import { createApp } from '../../api/app.js';
import { buildDeps } from '../../api/deps.js';
import { closeServer, createHttpServer, listen } from '../../api/http/server.js';
import { loadApiConfig } from '../../shared/config/config.js';
import { Admin } from '../../shared/models/index.js';
import { createClient, type ApiClient } from '../helpers/api-client.js';
import { shareModels } from '../helpers/bound-models.js';
import type { Scope, TestContext } from '../helpers/context.js';
import { environment } from '../helpers/env.js';
import { createRecordingLogger } from '../helpers/log.js';

/** What an API has done since the counts were last set back. */
export interface CountedWork {
  /** Each hash or comparison, with its work factor. */
  hashes: string[];
  statements: number;
}

/** Starts an API in this process, so that what it does can be counted. One at a time: it counts all that bcrypt does. */
export async function startCounting(
  scope: Scope,
  context: TestContext,
): Promise<{ client: ApiClient; work: CountedWork }> {
  const config = loadApiConfig(environment(context));
  const { log } = createRecordingLogger();
  const share = shareModels(config.database, 'a server');
  const deps = await buildDeps(config, log);
  share.opened(deps.database);
  scope.teardown(() => {
    share.leave();
    return deps.close();
  });
  const work: CountedWork = { hashes: [], statements: 0 };
  const { hash, compare } = bcrypt;
  const counted = {
    hash: (text: string, cost: number): Promise<string> => {
      work.hashes.push(`hash ${cost}`);
      return hash(text, cost);
    },
    compare: (text: string, digest: string): Promise<boolean> => {
      work.hashes.push(`compare ${bcrypt.getRounds(digest)}`);
      return compare(text, digest);
    },
  };
  Object.assign(bcrypt, counted);
  scope.teardown(() => void Object.assign(bcrypt, { hash, compare }));
  // The models are on the database that was opened last.
  Admin.sequelize?.addHook('beforeQuery', () => void (work.statements += 1));
  const app = createApp(deps, {
    publicUrl: config.publicUrl,
    trustProxy: config.http.trustProxy,
    passwordMinLength: config.passwords.minLength,
    isStopping: () => false,
  });
  const server = createHttpServer(app, log, {});
  const port = await listen(server, 0, '127.0.0.1');
  scope.teardown(() => closeServer(server));
  return { client: createClient(`http://127.0.0.1:${port}`), work };
}
