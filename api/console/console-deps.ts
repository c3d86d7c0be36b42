import type { Check } from '../../shared/health/checks.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { Repeating } from '../../shared/lifecycle/repeat.js';
import type { WorkerRole } from '../../shared/queues/registry.js';
import type { Queues } from '../../shared/queues/queues.js';
import type { RequestConfirmationDeps } from '../mailed-links/confirmations.js';
import type { RateLimitStore } from '../rate-limits/rate-limiter.js';
import type { RouteLimits } from '../rate-limits/route-limits.js';
import type { ConsoleSessionDeps } from './access/console-session.service.js';

/** What the console's pages need. */
export interface ConsoleDeps extends ConsoleSessionDeps, RequestConfirmationDeps {
  readonly log: Logger;
  readonly queues: Queues;
  readonly limits: RouteLimits;
  readonly rateLimiting: RateLimitStore;
  /** The readiness checks of this process. */
  readonly checks: Readonly<Record<string, Check>>;
  /** Carries out actions on many mails. */
  readonly bulkActions: Pick<Repeating, 'runNow'>;
  /** The roles that some worker must have. */
  readonly neededRoles: readonly WorkerRole[];
}

export interface ConsoleOptions {
  /** Canonical. */
  readonly operatorEmails: readonly string[];
  readonly publicUrl: string;
  /** The cookie is sent over TLS alone: always in production. */
  readonly isSecure: boolean;
  /** Shown beside the name of the product: which deployment this is. */
  readonly environment: string;
}
