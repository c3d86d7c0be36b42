import { timeOf } from './findings.js';
import type { RedState } from './red-states.js';

/** A state that a notice tells of. */
export interface NoticeItem extends RedState {
  readonly since: Date;
}

/** A state that is over. */
export interface ClearedItem extends NoticeItem {
  readonly until: Date;
}

/** What operators are told, on one way, in one message. */
export interface Notice {
  /** `APP_ENV`. */
  readonly environment: string;
  /** URL of the runbook in the console. */
  readonly runbookUrl: string;
  readonly raised: readonly NoticeItem[];
  readonly cleared: readonly ClearedItem[];
}

/** One way to reach somebody. */
export interface NoticeChannel {
  /** In log lines. */
  readonly kind: 'mail' | 'webhook';
  /** Names it in the table `alert_notices`; unique. */
  readonly name: string;
  /** @throws when the notice was not delivered. */
  send(notice: Notice, signal: AbortSignal): Promise<void>;
}

const MAX_NAMED = 2;

/** One line that says what is the matter. */
export function subjectOf({ environment, raised, cleared }: Notice): string {
  const parts = [
    ...(raised.length > 0 ? [titles(raised)] : []),
    ...(cleared.length > 0 ? [`Recovered: ${titles(cleared)}`] : []),
  ];
  return `[Rollcall ${environment}] ${parts.join('. ')}`;
}

/** The notice in words: what is red first, then what has recovered. */
export function entriesOf({ runbookUrl, raised, cleared }: Notice) {
  return [
    ...raised.map(({ title, severity, detail, since, section }) => ({
      kind: severity === 'critical' ? 'Critical' : 'Warning',
      title,
      text: `${detail}. Since ${timeOf(since)}. What to do: ${runbookUrl}#${section}`,
    })),
    ...cleared.map(({ title, since, until }) => ({
      kind: 'Recovered',
      title,
      text: `It lasted from ${timeOf(since)} to ${timeOf(until)}.`,
    })),
  ];
}

function titles(items: readonly NoticeItem[]): string {
  const named = items.slice(0, MAX_NAMED).map(({ title }) => title);
  const others = items.length - named.length;
  return `${named.join('; ')}${others > 0 ? `; ${others} more` : ''}`;
}
