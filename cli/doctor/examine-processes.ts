import { rolesNeeded } from '../../shared/alerts/facts.js';
import { readRedStates } from '../../shared/alerts/read-red-states.js';
import type { RedStateName } from '../../shared/alerts/red-states.js';
import type { Database } from '../../shared/database/connect.js';
import { readProcesses } from '../../shared/presence/read-processes.js';
import { forEachQueue } from '../../shared/queues/registry.js';
import { countText } from '../text.js';
import type { DoctorFinding } from './checks.js';

/** What the doctor examines itself, more closely. */
const examinedElsewhere: readonly RedStateName[] = [
  'migrations_pending',
  'outbox_not_relayed',
  'mails_not_worked_on',
  'mail_failing',
  'dead_letters',
  'mails_perhaps_sent',
  'queue_paused',
];

const notAsked = (): Promise<never> => Promise.reject(new Error('not asked'));

/** Which processes live, and what they see: the red states that they have raised among it. */
export async function examineProcesses(
  database: Database,
  shipsLogs: boolean,
): Promise<DoctorFinding[]> {
  const { red } = await readRedStates({
    database,
    // The doctor asks Redis itself.
    queues: { redisNames: [], usedShare: notAsked, ...forEachQueue(() => ({ pauseOf: notAsked })) },
    checks: {},
    neededRoles: rolesNeeded(shipsLogs),
  });
  const problems = red.filter(({ name }) => !examinedElsewhere.includes(name));
  if (problems.length > 0)
    return problems.map(({ title, detail, section }) => ({
      check: 'processes',
      ok: false,
      found: `${title}: ${detail}`,
      advice: `See the runbook, docs/runbook.md#${section}. \`processes\` lists them all.`,
    }));
  const { live } = await readProcesses(database);
  const apis = live.filter(({ service }) => service === 'rollcall-api').length;
  const found = `${countText(apis, 'API process', 'API processes')} and ${countText(live.length - apis, 'worker')} live`;
  return [{ check: 'processes', ok: true, found }];
}
