import express, { type Express, type RequestHandler, type Router } from 'express';
import type { ApiConfig } from '../shared/config/config.js';
import { AppError } from '../shared/errors/app-error.js';
import { accountRoutes } from './account/account.routes.js';
import { adminsRoutes } from './admins/admins.routes.js';
import type { OperatorConsole } from './console/console.js';
import type { ApiDeps } from './deps.js';
import { createClientAddress } from './http/client-address.js';
import { createFindPath } from './http/documented-paths.js';
import { createFront } from './http/front.js';
import { messageClassesOf } from './http/message-classes.js';
import { problemHandler } from './http/problem.js';
import { createRequestMetrics } from './http/request-metrics.js';
import { securityHeaderValues } from './http/security-headers.js';
import type { Listener } from './http/server.js';
import {
  DOCS_FILES,
  docsRoutes,
  readOpenApiDocument,
  type OpenApiDocument,
} from './openapi/docs.routes.js';
import { healthRoutes, liveRoute } from './ops/health.routes.js';
import { homeRoutes } from './ops/home.routes.js';
import { METRICS } from './ops/metrics.routes.js';
import { passwordResetRoutes } from './password-reset/password-reset.routes.js';
import { confirmRoutes } from './registration/confirm.routes.js';
import { registrationRoutes } from './registration/registration.routes.js';
import { sessionRoutes } from './sessions/sessions.routes.js';
import { usersRoutes } from './users/users.routes.js';

export type AppOptions = Pick<ApiConfig, 'publicUrl'> & {
  readonly trustProxy: ApiConfig['http']['trustProxy'];
  readonly passwordMinLength: number;
  readonly isStopping: () => boolean;
  /** What only operators use; left out where it has a listener of its own. */
  readonly operators?: OperatorRoutes;
};

/** The pages at `/ops`, and the metrics. */
export interface OperatorRoutes {
  readonly console: OperatorConsole;
  readonly metrics: Router;
}

const CONSOLE = '/ops';
/** What only operators use is below these paths. */
const OPERATOR_PATHS = [CONSOLE, METRICS];

/** Answers every request of the API: the front first, then Express. */
export function createListener(deps: ApiDeps, options: AppOptions): Listener {
  const document = readOpenApiDocument(options.passwordMinLength);
  const app = createApp(deps, document, options);
  const onRequest = createFront({
    log: deps.log,
    clientAddress: createClientAddress(options.trustProxy),
    headers: securityHeaderValues(options.publicUrl),
    record: createRequestMetrics(deps.metrics),
    tracer: deps.tracer,
    findPath: createFindPath(document.paths),
    undocumented: [DOCS_FILES, ...(options.operators ? OPERATOR_PATHS : [])],
    routes: [...deps.reads.front, liveRoute],
    gates: new Map([
      ['/auth/login', deps.passwords.requireRoom],
      ['/auth/register', deps.passwords.requireRoom],
    ]),
    app,
  });
  return { onRequest, messages: messageClassesOf(app) };
}

/** The routes, for requests that have passed the front. */
export function createApp(
  deps: ApiDeps,
  document: OpenApiDocument,
  { isStopping, passwordMinLength, operators }: AppOptions,
): Express {
  const app = newApp();
  // What is used most comes first: the routers are asked in turn.
  app.use(usersRoutes(deps));
  app.use(sessionRoutes(deps));
  if (operators) useOperatorRoutes(app, operators);
  app.use(homeRoutes({ hasConsole: operators !== undefined }));
  app.use(docsRoutes(document));
  app.use(healthRoutes({ checks: deps.checks, isStopping }));
  app.use(registrationRoutes({ ...deps, passwordMinLength }));
  app.use(confirmRoutes(deps));
  app.use(passwordResetRoutes({ ...deps, passwordMinLength }));
  app.use(accountRoutes({ ...deps, passwordMinLength }));
  app.use(adminsRoutes(deps));

  return endApp(app);
}

/** Answers what only operators use, on a listener of its own: the same front, and nothing else behind it. */
export function createOpsListener(
  deps: Pick<ApiDeps, 'log' | 'metrics' | 'tracer'>,
  { publicUrl, trustProxy }: Pick<AppOptions, 'publicUrl' | 'trustProxy'>,
  operators: OperatorRoutes,
): Listener {
  const app = newApp();
  useOperatorRoutes(app, operators);
  const onRequest = createFront({
    log: deps.log,
    clientAddress: createClientAddress(trustProxy),
    headers: securityHeaderValues(publicUrl),
    record: createRequestMetrics(deps.metrics),
    tracer: deps.tracer,
    findPath: createFindPath({}),
    undocumented: OPERATOR_PATHS,
    routes: [],
    gates: new Map(),
    app: endApp(app),
  });
  return { onRequest, messages: messageClassesOf(app) };
}

function useOperatorRoutes(app: Express, { console: pages, metrics }: OperatorRoutes): void {
  app.use(CONSOLE, pages.handler);
  app.use(metrics);
}

function newApp(): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  return app;
}

function endApp(app: Express): Express {
  app.use(refuseUnknownPath);
  app.use(problemHandler);
  return app;
}

const refuseUnknownPath: RequestHandler = () => {
  throw new AppError('not_found');
};
