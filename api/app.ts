import express, { type Express } from 'express';
import type { ApiConfig } from '../shared/config/config.js';
import { AppError } from '../shared/errors/app-error.js';
import { accountRoutes } from './account/account.routes.js';
import { adminsRoutes } from './admins/admins.routes.js';
import { confirmRoutes } from './registration/confirm.routes.js';
import { passwordResetRoutes } from './password-reset/password-reset.routes.js';
import { registrationRoutes } from './registration/registration.routes.js';
import { sessionRoutes } from './sessions/sessions.routes.js';
import type { ApiDeps } from './deps.js';
import { methodGuard } from './http/method-guard.js';
import { problemHandler } from './http/problem.js';
import { normalizeForwardedFor, requestContext } from './http/request-context.js';
import { requestGuard } from './http/request-guard.js';
import { securityHeaders } from './http/security-headers.js';
import { docsRoutes, readOpenApiDocument } from './openapi/docs.routes.js';
import { healthRoutes } from './ops/health.routes.js';
import { homeRoutes } from './ops/home.routes.js';
import { usersRoutes } from './users/users.routes.js';

export type AppOptions = Pick<ApiConfig, 'publicUrl'> & {
  readonly trustProxy: ApiConfig['http']['trustProxy'];
  readonly passwordMinLength: number;
  readonly isStopping: () => boolean;
};

/** The HTTP application, in the order that a request passes through. Does not listen. */
export function createApp(deps: ApiDeps, options: AppOptions): Express {
  const { passwordMinLength } = options;
  const document = readOpenApiDocument();
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.set('trust proxy', options.trustProxy);

  app.use(
    normalizeForwardedFor,
    requestContext(deps.log),
    securityHeaders(options.publicUrl),
    requestGuard,
    methodGuard(document.paths),
  );

  app.use(homeRoutes());
  app.use(docsRoutes(document));
  app.use(healthRoutes({ checks: deps.checks, isStopping: options.isStopping }));
  app.use(registrationRoutes({ ...deps, passwordMinLength }));
  app.use(confirmRoutes(deps));
  app.use(sessionRoutes(deps));
  app.use(passwordResetRoutes({ ...deps, passwordMinLength }));
  app.use(accountRoutes({ ...deps, passwordMinLength }));
  app.use(adminsRoutes(deps));
  app.use(usersRoutes(deps));

  app.use(() => {
    throw new AppError('not_found');
  });
  app.use(problemHandler);
  return app;
}
