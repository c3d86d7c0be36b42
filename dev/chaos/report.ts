import type { FaultCounts } from './faults.js';
import type { OutageReport } from './outage.js';
import type { Outcome } from './reconcile.js';

/** The result of a chaos run. */
export interface ChaosReport extends Outcome {
  readonly seed: number;
  readonly seconds: number;
  readonly faults: FaultCounts;
  readonly acknowledged: number;
  readonly unanswered: number;
  /** Unexpected process exits: those that the run did not cause. */
  readonly ownEnds: number;
  readonly refusedFirehoseCalls: number;
}

/** True if no mail and no log line was lost, and no call exceeded a limit of Firehose. */
export const lostNothing = (report: ChaosReport | OutageReport): boolean =>
  report.lostLines.length === 0 &&
  report.refusedFirehoseCalls === 0 &&
  (!('lostMails' in report) || report.lostMails.length === 0);

/** The report as text, a row for each figure. */
export function describe(report: ChaosReport | OutageReport): string {
  const rows = 'before' in report ? rowsOfOutage(report) : rowsOfChaos(report);
  return rows.map(([what, value]) => `${what.padEnd(36)}${value}\n`).join('');
}

const secondsOf = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

function rowsOfOutage(report: OutageReport): [string, string][] {
  const timesOf = ({ calls, unanswered, leftOut, p50Ms, p99Ms }: OutageReport['before']): string =>
    `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms (${calls} calls, ${unanswered} unanswered, ${leftOut} left out)`;
  return [
    ['before', timesOf(report.before)],
    ['during the outage', timesOf(report.during)],
    ['after it', timesOf(report.after)],
    [
      'p99 during, of p99 before',
      `${((report.during.p99Ms / report.before.p99Ms) * 100).toFixed(0)} %`,
    ],
    ['lines in flight when it was killed', String(report.inFlightAtKill)],
    ...rowsOfLines(report),
  ];
}

function rowsOfLines(report: ChaosReport | OutageReport): [string, string][] {
  return [
    ['log lines written by the API', String(report.lines)],
    ['log lines lost', String(report.lostLines.length)],
    ['log lines doubled', String(report.doubledLines)],
    ['log lines drained in', secondsOf(report.linesDrainedMs)],
    ['Firehose calls over a limit', String(report.refusedFirehoseCalls)],
  ];
}

function rowsOfChaos(report: ChaosReport): [string, string][] {
  const { faults } = report;
  return [
    ['process kills', String(faults.kill)],
    ['Redis wipes', String(faults['wipe-redis'])],
    ['PostgreSQL restarts', String(faults['restart-postgres'])],
    ['SMTP outages', String(faults['smtp-outage'])],
    ['Firehose outages', String(faults['firehose-outage'])],
    ['unexpected process exits', String(report.ownEnds)],
    ['registrations acknowledged', `${report.acknowledged} (${report.unanswered} unanswered)`],
    ['mails promised', String(report.promisedMails)],
    ['mails lost', String(report.lostMails.length)],
    ['mails doubled', String(report.doubledMails)],
    ['mails drained in', secondsOf(report.mailsDrainedMs)],
    ...rowsOfLines(report),
  ];
}
