import type { Processes } from '../../../shared/presence/read-processes.js';
import { markup, type Html } from '../../http/page.js';
import type { QueueReport } from '../../ops/queues.service.js';
import { ago, count, foreign } from '../layout/format.js';
import { facts, section } from '../layout/parts.js';
import { queueBadge } from '../layout/queue-state.js';

/** A queue: its state, its jobs, and for who may act the way to pause or resume it. */
export function renderQueue(report: QueueReport, processes: Processes, mayChange: boolean): Html {
  const { name, description, counts, paused, problem } = report;
  const action = paused ? 'resume' : 'pause';
  return section(
    `queue-${name}`,
    name,
    markup`<p class="soft">${description}</p>${facts([
      ['State', queueBadge(report, processes)],
      ['Paused because', paused && foreign(paused.reason, 500)],
      ['Paused by', paused && markup`${foreign(paused.by, 100)}, ${ago(paused.since)}`],
      ['Waiting', counts && count(counts.waiting)],
      ['Active', counts && count(counts.active)],
      ['Delayed', counts && count(counts.delayed)],
      ['Failed', counts && count(counts.failed)],
    ])}${mayChange && problem === null && markup`<div class="actions"><a class="button ${paused ? '' : 'quiet'}" href="/ops/queues/${name}/${action}">${paused ? 'Resume…' : 'Pause…'}</a></div>`}`,
  );
}
