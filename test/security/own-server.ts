import { createListener } from '../../api/app.js';
import { buildDeps } from '../../api/deps.js';
import { closeApiServer, createHttpServer, type ServerTimeouts } from '../../api/http/server.js';
import { loadApiConfig } from '../../shared/config/config.js';
import { listen } from '../../shared/lifecycle/http-server.js';
import { shareModels } from '../helpers/bound-models.js';
import type { Scope, TestContext } from '../helpers/context.js';
import { environment } from '../helpers/env.js';
import { createRecordingLogger, type RecordingLogger } from '../helpers/log.js';

/** The API's own app behind a server with other time-outs. */
export interface OwnServer extends Pick<RecordingLogger, 'lines'> {
  readonly url: string;
}

/** Opens one in this process; it closes with the scope. */
export async function openOwnServer(
  scope: Scope,
  context: TestContext,
  timeouts: ServerTimeouts = {},
): Promise<OwnServer> {
  const config = loadApiConfig(environment(context));
  const { log, lines } = createRecordingLogger();
  const share = shareModels(config.database, 'a server');
  const deps = await buildDeps(config, {
    log,
    onStop: (_, release) =>
      scope.teardown(async () => release({ reason: 'the test is over', exitCode: 0 })),
  });
  share.opened(deps.database);
  scope.teardown(() => share.leave());
  const listener = createListener(deps, {
    publicUrl: config.publicUrl,
    trustProxy: config.http.trustProxy,
    passwordMinLength: config.passwords.minLength,
    isStopping: () => false,
  });
  const server = createHttpServer(listener, log, {}, timeouts);
  const port = await listen(server, 0, '127.0.0.1');
  scope.teardown(() => closeApiServer(server));
  return { url: `http://127.0.0.1:${port}`, lines };
}
