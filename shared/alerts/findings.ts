import { duration } from '../duration.js';
import type { CheckResult, ProblemKind } from '../health/checks.js';
import { queueNames, queueRegistry, type RedisName } from '../queues/registry.js';
import type { ProcessPresence, Processes } from '../presence/read-processes.js';
import { taskCatalogue } from '../tasks/catalogue.js';
import { RECENT_SECONDS, type Facts } from './facts.js';

/**
 * What was found about one state: in words if it is red, null if not, `undefined` if that is unknown. The words hold no
 * address; untrusted text in them is unescaped.
 */
export type Finding = string | null | undefined;

/** Which problems of a check make a state red. */
export type KindFilter = (kind: ProblemKind | undefined) => boolean;

/** The problem of a check, if the filter passes it. */
export function problemOf(
  check: Pick<CheckResult, 'ok' | 'problem' | 'kind'> | undefined,
  isMeant: KindFilter = () => true,
): Finding {
  if (!check) return undefined;
  return !check.ok && isMeant(check.kind) ? (check.problem ?? 'it fails') : null;
}

/** The first that is red; unknown only if nothing is known. */
export function anyOf(...findings: readonly Finding[]): Finding {
  const red = findings.find((finding) => typeof finding === 'string');
  return red ?? (findings.every((finding) => finding === undefined) ? undefined : null);
}

/** A check that not every process has, or that may differ between them: of this process or of any live one. */
export function worstCheck(
  { checks, processes }: Facts,
  name: string,
  isMeant?: KindFilter,
): Finding {
  const others = (processes?.live ?? []).map(({ health }) => problemOf(health[name], isMeant));
  return anyOf(problemOf(checks[name], isMeant), ...others, processes && null);
}

export function refusalOfConsumers(facts: Facts, redis: RedisName, isMeant: KindFilter): Finding {
  return anyOf(
    ...queuesOn(facts, redis).map((queue) =>
      worstCheck(facts, queueRegistry[queue].refusalCheck, isMeant),
    ),
    null,
  );
}

/** With one Redis for everything, it holds all queues. */
const queuesOn = (facts: Facts, redis: RedisName) =>
  queueNames.filter((queue) => {
    const wanted = queueRegistry[queue].redis;
    return (facts.redisNames.includes(wanted) ? wanted : 'main') === redis;
  });

export function findUse(facts: Facts, redis: RedisName): Finding {
  const used = facts.redisUse[redis];
  if (used === undefined) return facts.redisNames.includes(redis) ? undefined : null;
  const stopped = queuesOn(facts, redis).filter(
    (queue) => used >= queueRegistry[queue].bounds.memoryShare,
  );
  return stopped.length === 0
    ? null
    : `${percent(used)} of its memory is used; no jobs are added to ${stopped.join(' and ')}`;
}

/** An operator who has paused a queue for a while may have forgotten it. */
const LONG_PAUSE_MS = 30 * 60_000;

/** Queues that have been paused for long. */
export function findPauses({ pauses }: Facts): Finding {
  const long = queueNames.flatMap((name) => {
    const pause = pauses[name];
    return pause && Date.now() - pause.since.getTime() > LONG_PAUSE_MS
      ? [`${name}, by ${pause.by} at ${formatUtc(pause.since)}: ${pause.reason}`]
      : [];
  });
  if (long.length > 0) return long.join('; ');
  return queueNames.every((name) => pauses[name] === undefined) ? undefined : null;
}

/** As many failed runs in a row are no accident: a task that has failed runs again soon. */
const MAX_FAILED_RUNS = 3;
/** A task may take a while, and after an outage a worker needs a while to run it. */
const TASK_GRACE_SECONDS = 600;

/** Tasks that fail, or do not run although a worker has had the time to. */
export function findTasks({ tasks, processes }: Facts): Finding {
  if (!tasks) return undefined;
  const relaySeconds = Math.max(
    0,
    ...(processes?.live ?? []).filter(({ roles }) => roles.includes('relay')).map(uptimeSeconds),
  );
  const found = tasks.flatMap(({ task, failedRuns, error, finishedSecondsAgo }) => {
    if (failedRuns >= MAX_FAILED_RUNS)
      return [`${task} failed ${failedRuns} times in a row: ${error ?? 'unknown'}`];
    const idleSeconds = Math.min(finishedSecondsAgo ?? Infinity, relaySeconds);
    return idleSeconds > 2 * taskCatalogue[task].everySeconds + TASK_GRACE_SECONDS
      ? [`${task} has not run for ${duration(idleSeconds)}`]
      : [];
  });
  return found.length > 0 ? found.join('; ') : null;
}

/** Until now, by the database's clock. */
const uptimeSeconds = ({ startedAt, seenAt, seenSecondsAgo }: ProcessPresence): number =>
  (seenAt.getTime() - startedAt.getTime()) / 1_000 + seenSecondsAgo;

/** Those that vanished within the last minutes. */
export const recentlyLost = (processes: Processes | undefined) =>
  processes?.lost.filter(({ seenSecondsAgo }) => seenSecondsAgo <= RECENT_SECONDS);

/** Those that ended by themselves, with another exit code than 0, within the last minutes. */
export const recentlyFailed = (processes: Processes | undefined) =>
  processes?.stopped.filter(
    ({ seenSecondsAgo, exitCode }) => seenSecondsAgo <= RECENT_SECONDS && (exitCode ?? 0) !== 0,
  );

export const processName = ({ service, host, pid }: ProcessPresence): string =>
  `${service} (${host}, ${pid})`;

/** A few in words, the others as their number. */
export function describeProcesses(
  processes: readonly ProcessPresence[] | undefined,
  describe: (each: ProcessPresence) => string,
): Finding {
  if (!processes) return undefined;
  if (processes.length === 0) return null;
  const words = processes.slice(0, MAX_LISTED).map(describe);
  const others = processes.length - words.length;
  return [...words, ...(others > 0 ? [`${others} more`] : [])].join('; ');
}

const MAX_LISTED = 3;

export function findOutbox(
  check: CheckResult | undefined,
  kind: ProblemKind,
  measure: string,
): Finding {
  // Without its measurements the check has not looked at the messages.
  if (check?.[measure] === undefined) return undefined;
  const finding = problemOf(check, (found) => found === kind);
  return finding && `${finding}: the oldest for ${duration(Number(check[measure]))}`;
}

export const describeCount = (count: number, what: string): Finding =>
  count === 0 ? null : `${count} ${what}`;

export const percent = (share: number): string => `${Math.round(share * 100)} %`;

/** To the second. */
export const formatUtc = (at: Date): string =>
  `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
