import type { Processes } from '../../../shared/presence/read-processes.js';
import { queueRegistry } from '../../../shared/queues/registry.js';
import { markup, type Html } from '../../http/page.js';
import type { QueueReport } from '../../ops/queues.service.js';
import { ago, clip } from './format.js';
import { badge } from './parts.js';

/** The limiter of a busy queue holds it for parts of a second, all the time. */
const MIN_SHOWN_MS = 1_500;

/** Whether the jobs of a queue are taken, in a word; of a paused one also why. */
export function queueState(report: QueueReport, processes: Processes | undefined): Html {
  const { paused, problem } = report;
  const why =
    problem === null &&
    paused &&
    markup`<span class="sub">${clip(paused.reason, 120)}, ${ago(paused.since)}</span>`;
  return markup`${queueBadge(report, processes)}${why}`;
}

/** The same where the reason stands elsewhere. */
export function queueBadge(report: QueueReport, processes: Processes | undefined): Html {
  const { name, counts, paused, throttled_until: throttledUntil, problem } = report;
  if (problem !== null) return badge('bad', clip(problem, 120));
  if (paused) return badge('warn', 'paused');
  const { role } = queueRegistry[name];
  if (processes && !processes.live.some(({ roles }) => roles.includes(role))) {
    const { waiting = 0, delayed = 0, active = 0 } = counts ?? {};
    return badge(waiting + delayed + active > 0 ? 'warn' : 'idle', 'no worker consumes it');
  }
  if (throttledUntil && throttledUntil.getTime() - Date.now() > MIN_SHOWN_MS)
    return markup`${badge('warn', 'throttled')}<span class="sub">resumes ${ago(throttledUntil)}</span>`;
  return badge('good', 'running');
}
