import type { RequestHandler } from 'express';
import { createAudit } from '../shared/audit/audit.js';
import type { ApiConfig } from '../shared/config/config.js';
import { deriveKeyRing } from '../shared/crypto/keys.js';
import { openDatabase } from '../shared/database/connect.js';
import type { Statements } from '../shared/database/statements.js';
import type { Check } from '../shared/health/checks.js';
import { commonChecks } from '../shared/health/readiness.js';
import { createFailpoint } from '../shared/lifecycle/failpoint.js';
import type { Logger, RootLogger } from '../shared/logging/logger.js';
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
import type { RateLimiterDeps } from './rate-limits/rate-limiter.js';
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
  /** Leaves bulk actions to other processes, waits for outbox messages that are being enqueued, then closes Redis and PostgreSQL. */
  close(): Promise<void>;
}

/** The composition root: the one place where the parts are wired together. Connects lazily. */
export async function buildDeps(config: ApiConfig, log: RootLogger): Promise<ApiDeps> {
  const { rateLimitScale, secrets, tokens } = config;
  const tracer = await openTracer(config, 'rollcall-api', log);
  const { database, queues, outbox, rateLimitRedis, close } = openResources(config, log, tracer);
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

  return {
    log,
    metrics,
    tracer,
    database,
    queues,
    outbox,
    audit,
    rateLimitScale,
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
    checks: commonChecks(database, queues, log),
    bulkActions,
    async close() {
      await bulkActions.stop();
      await close();
    },
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

/** What stays open as long as the process runs, and how to close it. */
function openResources(config: ApiConfig, log: Logger, tracer: Tracer | undefined) {
  const database = openDatabase(config.database, 'rollcall-api');
  const queues = openQueues(config.redis, log);
  const outbox = createOutbox({
    database,
    queue: queues.mail,
    room: queues.room.mail,
    failpoint: createFailpoint(config.failpoint),
    log,
    tracer,
  });
  const ignore = (): void => {
    // The queues' client to the same Redis logs the error.
  };
  // A login consumes up to four limits in a row: only the first may have to wait.
  const rateLimitRedis = oneWritePerTurn(
    openFailFastRedis(config.redis.url, ignore, { leaveAfterMs: 700 }),
  );

  async function close(): Promise<void> {
    await outbox.close();
    rateLimitRedis.disconnect();
    await Promise.all([queues.close(), database.close()]);
    await tracer?.close();
  }

  return { database, queues, outbox, rateLimitRedis, close };
}
