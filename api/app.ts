import type { RequestListener } from 'node:http';
import express, { type Express, type RequestHandler } from 'express';
import type { ApiConfig } from '../shared/config/config.js';
import { AppError } from '../shared/errors/app-error.js';
import { accountRoutes } from './account/account.routes.js';
import { adminsRoutes } from './admins/admins.routes.js';
import type { OperatorConsole } from './console/console.js';
import type { ApiDeps } from './deps.js';
import { createClientAddress } from './http/client-address.js';
import { createAllowedMethods } from './http/documented-paths.js';
import { createFront } from './http/front.js';
import { problemHandler } from './http/problem.js';
import { securityHeaderValues } from './http/security-headers.js';
import {
  DOCS_FILES,
  docsRoutes,
  readOpenApiDocument,
  type OpenApiDocument,
} from './openapi/docs.routes.js';
import { healthRoutes, liveRoute } from './ops/health.routes.js';
import { homeRoutes } from './ops/home.routes.js';
import { passwordResetRoutes } from './password-reset/password-reset.routes.js';
import { confirmRoutes } from './registration/confirm.routes.js';
import { registrationRoutes } from './registration/registration.routes.js';
import { sessionRoutes } from './sessions/sessions.routes.js';
import { usersRoutes } from './users/users.routes.js';

export type AppOptions = Pick<ApiConfig, 'publicUrl'> & {
  readonly trustProxy: ApiConfig['http']['trustProxy'];
  readonly passwordMinLength: number;
  readonly isStopping: () => boolean;
  /** Served at `/ops`; left out where it has a listener of its own. */
  readonly console?: OperatorConsole;
};

/** What only operators use is below this path. */
const CONSOLE = '/ops';

/** Answers every request of the API: the front first, then Express. */
export function createListener(deps: ApiDeps, options: AppOptions): RequestListener {
  const document = readOpenApiDocument();
  const app = createApp(deps, document, options);
  return createFront({
    log: deps.log,
    clientAddress: createClientAddress(options.trustProxy),
    headers: securityHeaderValues(options.publicUrl),
    allowedMethods: createAllowedMethods(document.paths),
    undocumented: [DOCS_FILES, ...(options.console ? [CONSOLE] : [])],
    routes: [...deps.reads.front, liveRoute],
    gates: new Map([
      ['/auth/login', deps.passwords.requireRoom],
      ['/auth/register', deps.passwords.requireRoom],
    ]),
    app,
  });
}

/** The routes, for requests that have passed the front. */
export function createApp(
  deps: ApiDeps,
  document: OpenApiDocument,
  { isStopping, passwordMinLength, console: operatorConsole }: AppOptions,
): Express {
  const app = newApp();
  if (operatorConsole) app.use(CONSOLE, operatorConsole.handler);
  app.use(homeRoutes({ hasConsole: operatorConsole !== undefined }));
  app.use(docsRoutes(document));
  app.use(healthRoutes({ checks: deps.checks, isStopping }));
  app.use(registrationRoutes({ ...deps, passwordMinLength }));
  app.use(confirmRoutes(deps));
  app.use(sessionRoutes(deps));
  app.use(passwordResetRoutes({ ...deps, passwordMinLength }));
  app.use(accountRoutes({ ...deps, passwordMinLength }));
  app.use(adminsRoutes(deps));
  app.use(usersRoutes(deps));

  return endApp(app);
}

/** Answers what only operators use, on a listener of its own: the same front, and nothing else behind it. */
export function createOpsListener(
  deps: Pick<ApiDeps, 'log'>,
  { publicUrl, trustProxy }: Pick<AppOptions, 'publicUrl' | 'trustProxy'>,
  operatorConsole: OperatorConsole,
): RequestListener {
  const app = newApp();
  app.use(CONSOLE, operatorConsole.handler);
  return createFront({
    log: deps.log,
    clientAddress: createClientAddress(trustProxy),
    headers: securityHeaderValues(publicUrl),
    allowedMethods: createAllowedMethods({}),
    undocumented: [CONSOLE],
    routes: [],
    gates: new Map(),
    app: endApp(app),
  });
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
