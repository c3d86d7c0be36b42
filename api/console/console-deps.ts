import type { Queues } from '../../shared/queues/queues.js';
import type { RouteLimits } from '../rate-limits/route-limits.js';
import type { ConsoleSessionDeps } from './access/console-session.service.js';

/** What the console's pages need. */
export interface ConsoleDeps extends ConsoleSessionDeps {
  readonly queues: Queues;
  readonly limits: RouteLimits;
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
