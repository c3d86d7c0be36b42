import { markup, type Html } from '../../http/page.js';
import type { QueueReport } from '../../ops/queues.service.js';
import { ago, clip } from './format.js';
import { badge } from './parts.js';

/** The limiter of a busy queue rests for parts of a second, all the time. */
const SHORT_REST_MS = 1_500;

/** Whether the jobs of a queue are taken, in a word; of a paused one also why. */
export function queueState(report: QueueReport): Html {
  const { paused, problem } = report;
  const why =
    problem === null &&
    paused &&
    markup`<span class="sub">${clip(paused.reason, 120)}, ${ago(paused.since)}</span>`;
  return markup`${queueBadge(report)}${why}`;
}

/** The same where the reason stands elsewhere. */
export function queueBadge({ paused, resting_until: resting, problem }: QueueReport): Html {
  if (problem !== null) return badge('bad', clip(problem, 120));
  if (paused) return badge('warn', 'paused');
  if (resting && resting.getTime() - Date.now() > SHORT_REST_MS)
    return markup`${badge('warn', 'resting')}<span class="sub">goes on ${ago(resting)}</span>`;
  return badge('good', 'running');
}
