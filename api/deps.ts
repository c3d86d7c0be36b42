import type { RequestHandler } from 'express';
import type { ApiConfig } from '../shared/config/config.js';
import { createAudit } from '../shared/audit/audit.js';
import { deriveKeyRing } from '../shared/crypto/keys.js';
import { openDatabase } from '../shared/database/connect.js';
import type { Check } from '../shared/health/checks.js';
import { commonChecks } from '../shared/health/readiness.js';
import { createFailpoint } from '../shared/lifecycle/failpoint.js';
import type { Logger } from '../shared/logging/logger.js';
import { createOutbox } from '../shared/outbox/outbox.js';
import { openFailFastRedis } from '../shared/queues/redis-client.js';
import { openQueues, type Queues } from '../shared/queues/queues.js';
import { createAuthLimits, type AuthLimits } from './throttling/route-limits.js';
import { createAdminsService, type AdminsService } from './admins/admins.service.js';
import { createLoginService, type LoginService } from './sessions/login.service.js';
import { createAccessTokens } from './sessions/access-tokens.js';
import { createAccountNotices } from './admins/account-notices.js';
import { createAccountService, type AccountService } from './account/account.service.js';
import { createRoleOf, type RoleOf } from './admins/admins.views.js';
import { createAdminGuard } from './sessions/admin-guard.js';
import type { PasswordResetDeps } from './password-reset/password-reset.service.js';
import { createPasswordGuard } from './passwords/password-guard.js';
import { createPasswords } from './passwords/passwords.js';
import type { RegistrationDeps } from './registration/registration.service.js';
import { createRepeatedRegistrations } from './registration/repeated-registrations.js';
import { createSessionTokens } from './sessions/session-tokens.js';
import { createSessionService, type SessionService } from './sessions/sessions.service.js';
import { createThrottleByAdmin, createThrottleByClient } from './throttling/throttle-requests.js';
import { createGenerations } from './throttling/generations.js';
import { createThrottles } from './throttling/throttles.js';
import { createCursors, type Cursors } from './http/pagination.js';
import { createUserWriteLimit } from './users/users.limits.js';
import { createUsersService, type UsersService } from './users/users.service.js';

/** Everything that the API's routes are given. */
export interface ApiDeps extends RegistrationDeps, PasswordResetDeps {
  readonly log: Logger;
  readonly queues: Queues;
  readonly logins: LoginService;
  readonly sessions: SessionService;
  readonly admins: AdminsService;
  readonly accounts: AccountService;
  readonly users: UsersService;
  readonly limits: AuthLimits;
  /** Bounds how fast one admin changes its users. */
  readonly userWrites: RequestHandler;
  readonly cursors: Cursors;
  readonly roleOf: RoleOf;
  /** Lets a request pass only for an admin with a live session. */
  readonly adminsOnly: RequestHandler;
  readonly checks: Readonly<Record<string, Check>>;
  /** Waits for hand-overs under way, then lets go of Redis and PostgreSQL. */
  close(): Promise<void>;
}

/** The composition root: the one place that knows how the parts fit together. Connects lazily. */
export async function buildDeps(config: ApiConfig, log: Logger): Promise<ApiDeps> {
  const { database, queues, outbox, throttleRedis, close } = openResources(config, log);
  const passwords = await createPasswords(config.passwords);
  const accessTokens = createAccessTokens(deriveKeyRing(config.secrets, 'access-token'), {
    publicUrl: config.publicUrl,
    expiresMs: config.tokens.accessExpiresMs,
  });
  const tokens = createSessionTokens({
    accessTokens,
    refreshKeys: deriveKeyRing(config.secrets, 'refresh-token'),
    ...config.tokens,
  });
  const notices = createAccountNotices(outbox, config.rateLimitScale);
  const audit = createAudit(log);
  const throttleKey = deriveKeyRing(config.secrets, 'throttle').current;
  const throttles = createThrottles({
    redis: throttleRedis,
    key: throttleKey,
    scale: config.rateLimitScale,
  });
  const throttleByAdmin = createThrottleByAdmin(throttles, audit);
  const passwordGuard = createPasswordGuard(
    throttles,
    createGenerations(throttleRedis, throttleKey),
  );
  const common = {
    database,
    outbox,
    passwords,
    passwordGuard,
    notices,
    audit,
    confirmationKeys: deriveKeyRing(config.secrets, 'confirmation'),
    confirmationExpiresMs: config.confirmationExpiresMs,
    repeatedRegistrations: createRepeatedRegistrations(),
  };
  const sessions = createSessionService({ ...common, tokens });
  const roleOf = createRoleOf(config.operatorEmails);

  return {
    ...common,
    log,
    queues,
    logins: createLoginService({ ...common, tokens }),
    sessions,
    admins: createAdminsService(roleOf),
    accounts: createAccountService(common),
    users: createUsersService(),
    limits: createAuthLimits(createThrottleByClient(throttles, audit), throttleByAdmin),
    userWrites: createUserWriteLimit(throttleByAdmin),
    cursors: createCursors(deriveKeyRing(config.secrets, 'cursor'), config.publicUrl),
    roleOf,
    adminsOnly: createAdminGuard(accessTokens, sessions),
    checks: commonChecks(database, queues, log),
    close,
  };
}

/** What is open as long as the process runs, and how it is let go of. */
function openResources(config: ApiConfig, log: Logger) {
  const database = openDatabase(config.database, 'rollcall-api');
  const queues = openQueues(config.redis, log);
  const outbox = createOutbox({
    database,
    queue: queues.mail,
    room: queues.room.mail,
    failpoint: createFailpoint(config.failpoint),
    log,
  });
  const ignore = (): void => {
    // The queues' client to the same Redis has logged it.
  };
  // A login asks up to four times in a row: only the first may have to wait.
  const throttleRedis = openFailFastRedis(config.redis.url, ignore, { leaveAfterMs: 700 });

  async function close(): Promise<void> {
    await outbox.close();
    throttleRedis.disconnect();
    await Promise.all([queues.close(), database.close()]);
  }

  return { database, queues, outbox, throttleRedis, close };
}
