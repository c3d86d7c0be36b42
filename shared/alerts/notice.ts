import type { Logger } from '../logging/logger.js';
import type { RedState } from './evaluation.js';
import { formatUtc } from './findings.js';

/** A state that a notice is about. */
export interface NoticeItem extends RedState {
  readonly since: Date;
}

/** A state that is over. */
export interface ClearedItem extends NoticeItem {
  readonly until: Date;
}

/** What operators are notified of, on one channel, in one message. */
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
      text: `${detail}. Since ${formatUtc(since)}. What to do: ${runbookUrl}#${section}`,
    })),
    ...cleared.map(({ title, since, until }) => ({
      kind: 'Recovered',
      title,
      text: `It lasted from ${formatUtc(since)} to ${formatUtc(until)}.`,
    })),
  ];
}

function titles(items: readonly NoticeItem[]): string {
  const named = items.slice(0, MAX_NAMED).map(({ title }) => title);
  const others = items.length - named.length;
  return `${named.join('; ')}${others > 0 ? `; ${others} more` : ''}`;
}

/** Sends a notice and logs what became of it; resolves to whether it was delivered. */
export async function sendNotice(
  log: Logger,
  channel: NoticeChannel,
  notice: Notice,
  signal: AbortSignal,
): Promise<boolean> {
  const fields = {
    'labels.channel': channel.kind,
    'labels.raised': notice.raised.map(({ name }) => name).join(','),
    'labels.cleared': notice.cleared.map(({ name }) => name).join(','),
  };
  try {
    await channel.send(notice, signal);
    log.info(fields, 'alert notice sent');
    return true;
  } catch (error) {
    log.warn({ ...fields, err: error }, 'alert notice failed; will retry');
    return false;
  }
}
