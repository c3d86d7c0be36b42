import type { RequestHandler } from 'express';
import { createAudit } from '../shared/audit/audit.js';
import type { ApiConfig } from '../shared/config/config.js';
import { deriveKeyRing } from '../shared/crypto/keys.js';
import { openDatabase } from '../shared/database/connect.js';
import type { Statements } from '../shared/database/statements.js';
import type { Check } from '../shared/health/checks.js';
import { apiRights } from '../shared/database/rights.js';
import { commonChecks } from '../shared/health/readiness.js';
import { createFailpoint } from '../shared/lifecycle/failpoint.js';
import type { Lifecycle } from '../shared/lifecycle/lifecycle.js';
import type { RootLogger } from '../shared/logging/logger.js';
import type { Repeating } from '../shared/lifecycle/repeat.js';
import { createMetrics, type Metrics } from '../shared/metrics/metrics.js';
import { createOutbox } from '../shared/outbox/outbox.js';
import { openFailFastRedis } from '../shared/queues/redis-client.js';
import { openQueues, type Queues } from '../shared/queues/queues.js';
import { openTracer } from '../shared/tracing/open-tracer.js';
import type { Tracer } from '../shared/tracing/tracer.js';
import type { AccountDeps } from './account/account.service.js';
import {
  createFindConsoleSession,
  type ConsoleSessionDeps,
} from './console/access/console-session.service.js';
import { createRoleOf } from './admins/admins.service.js';
import { createCursors, MAX_LIMIT, type Cursors } from './http/input/pagination.js';
import { startBulkActionRunner } from './ops/mail/bulk-action-runner.js';
import { createPasswordAttemptLimiter } from './passwords/password-attempts.js';
import { createPasswords } from './passwords/passwords.js';
import { createGenerations } from './rate-limits/generations.js';
import { oneWritePerTurn } from './rate-limits/one-write-per-turn.js';
import type { RateLimiterDeps, RateLimitStore } from './rate-limits/rate-limiter.js';
import { createRouteLimits, type RouteLimits } from './rate-limits/route-limits.js';
import type { RegistrationDeps } from './registration/registration.service.js';
import { createRepeatedRegistrations } from './registration/repeated-registrations.js';
import { accessTokenConfig, type AccessTokenConfig } from './sessions/access-tokens.js';
import {
  createAuthenticatedReads,
  type AuthenticatedReads,
} from './sessions/authenticated-reads.js';
import { createAuthenticator } from './sessions/authenticator.js';
import {
  createFindAdmin,
  createHasSession,
  createRequireAdmin,
  createRequireSession,
  type FindAdmin,
} from './sessions/require-admin.js';
import {
  createInsertUser,
  createUserReads,
  type InsertUser,
  type UserReads,
} from './users/users.statements.js';

/** What the routes and their services need. */
export interface ApiDeps extends RegistrationDeps, AccountDeps, ConsoleSessionDeps {
  readonly log: RootLogger;
  readonly metrics: Metrics;
  /** Absent where traces are not exported. */
  readonly tracer: Tracer | undefined;
  readonly queues: Queues;
  readonly limits: RouteLimits;
  readonly rateLimiting: RateLimitStore;
  readonly cursors: Cursors;
  /** Lets a request pass only for an admin with a live session. */
  readonly requireAdmin: RequestHandler;
  /** The same, for handlers that need only the admin's id. */
  readonly requireSession: RequestHandler;
  readonly findAdmin: FindAdmin;
  readonly reads: AuthenticatedReads;
  readonly userReads: UserReads;
  readonly insertUser: InsertUser;
  readonly checks: Readonly<Record<string, Check>>;
  /** Carries out what operators start; `runNow` after each start. */
  readonly bulkActions: Pick<Repeating, 'runNow'>;
}

/** Where the API logs, and registers the release of what it opens. */
export interface BuildOptions {
  readonly log: RootLogger;
  readonly onStop: Lifecycle['onStop'];
}

/** Opens the API's resources, registers the release of each, and builds the services over them. Connects lazily. */
export async function buildDeps(
  config: ApiConfig,
  { log, onStop }: BuildOptions,
): Promise<ApiDeps> {
  const { rateLimitScale, secrets, tokens } = config;
  const tracer = await openTracer(config, 'rollcall-api', log);
  if (tracer) onStop('traces', () => tracer.close());
  const { database, queues, outbox, rateLimitRedis } = openStores(config, { log, onStop }, tracer);
  const audit = createAudit(log);
  const metrics = createMetrics('api');
  const { current: rateLimitKey } = deriveKeyRing(secrets, 'throttle');
  const rateLimiting: RateLimiterDeps = {
    redis: rateLimitRedis,
    key: rateLimitKey,
    scale: rateLimitScale,
    metrics,
  };
  const accessTokens = accessTokenConfig(
    deriveKeyRing(secrets, 'access-token'),
    config.publicUrl,
    tokens.accessExpiresMs,
  );
  const bulkActions = startBulkActionRunner({ database, audit, log });
  onStop('bulk actions', () => bulkActions.stop());

  return {
    log,
    metrics,
    tracer,
    database,
    queues,
    outbox,
    audit,
    rateLimitScale,
    rateLimiting,
    accessTokens,
    refreshKeys: deriveKeyRing(secrets, 'refresh-token'),
    sessionExpiresMs: tokens.sessionExpiresMs,
    confirmationKeys: deriveKeyRing(secrets, 'confirmation'),
    confirmationExpiresMs: config.confirmationExpiresMs,
    passwords: await createPasswords(config.passwords, metrics),
    passwordAttempts: createPasswordAttemptLimiter(
      rateLimiting,
      createGenerations(rateLimitRedis, rateLimitKey),
    ),
    repeatedRegistrations: createRepeatedRegistrations(),
    limits: createRouteLimits({ rateLimiting, audit }),
    cursors: createCursors(deriveKeyRing(secrets, 'cursor'), config.publicUrl),
    roleOf: createRoleOf(config.operatorEmails),
    readonlyEmails: config.readonlyEmails,
    formKeys: deriveKeyRing(secrets, 'console-form'),
    findConsoleSession: createFindConsoleSession(database),
    ...createAuthentication(accessTokens, database.statements),
    userReads: createUserReads(database.statements, MAX_LIMIT),
    insertUser: createInsertUser(database.statements),
    checks: commonChecks(database, queues, log, apiRights),
    bulkActions,
  };
}

/** What lets requests with an access token pass. */
function createAuthentication(accessTokens: AccessTokenConfig, statements: Statements) {
  const authenticator = createAuthenticator(accessTokens);
  const findAdmin = createFindAdmin(statements);
  const hasSession = createHasSession(statements);
  return {
    findAdmin,
    requireAdmin: createRequireAdmin(authenticator, findAdmin),
    requireSession: createRequireSession(authenticator, hasSession),
    reads: createAuthenticatedReads({ authenticator, hasSession }),
  };
}

/** The clients of PostgreSQL and Redis, and the outbox: its release waits for messages that are being enqueued. */
function openStores(config: ApiConfig, { log, onStop }: BuildOptions, tracer: Tracer | undefined) {
  const database = openDatabase(config.database, 'rollcall-api');
  onStop('database', () => database.close());
  const queues = openQueues(config.redis, log);
  onStop('queues', () => queues.close());
  const outbox = createOutbox({
    database,
    queue: queues.mail,
    room: queues.room.mail,
    failpoint: createFailpoint(config.failpoint),
    log,
    tracer,
  });
  onStop('outbox', () => outbox.close());
  const ignore = (): void => {
    // The queues' client to the same Redis logs the error.
  };
  // A login consumes up to four limits in a row: only the first may have to wait.
  const rateLimitRedis = oneWritePerTurn(
    openFailFastRedis(config.redis.url, ignore, { replyMs: 700, leaves: true }),
  );
  onStop('rate limits', () => rateLimitRedis.disconnect());
  return { database, queues, outbox, rateLimitRedis };
}
