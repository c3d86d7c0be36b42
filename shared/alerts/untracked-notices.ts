import type { Logger } from '../logging/logger.js';
import type { Notice, NoticeChannel, NoticeItem } from './notice.js';
import type { RedState, RedStateName } from './red-states.js';
import { sendNotice } from './send-notice.js';

/**
 * What this process has told while PostgreSQL, in which the processes agree on who tells what, was away. It remembers for
 * itself, and forgets with its end: then nobody tells that the state is over.
 */
export interface UntrackedNotices {
  readonly states: Map<RedStateName, UntrackedState>;
  /** When each channel may be tried again, and each state told of again on it; by a monotonic clock. */
  readonly notBefore: Map<string, number>;
}

interface UntrackedState {
  readonly item: NoticeItem;
  /** By channel: `claimed` if it is for this process to tell, `told` once it has. */
  readonly on: Map<string, 'claimed' | 'told'>;
}

export interface UntrackedDeps {
  readonly channels: readonly NoticeChannel[];
  readonly environment: string;
  readonly runbookUrl: string;
  readonly log: Logger;
  /**
   * Of several processes that ask with the same name within so long, one gets true. If Redis is away as well, each tells for
   * itself.
   */
  readonly isFirst: (name: string, forMs: number) => Promise<boolean>;
}

/** Between two messages on one channel, delivered or not. */
const GAP_MS = 60_000;
/** Between two notices on one channel that the same state was raised. */
const SAME_STATE_MS = 600_000;

export const createUntrackedNotices = (): UntrackedNotices => ({
  states: new Map(),
  notBefore: new Map(),
});

/** Tells on every channel of what is red and was not told there yet. */
export async function tellRaised(
  notices: UntrackedNotices,
  deps: UntrackedDeps,
  red: readonly RedState[],
  signal: AbortSignal,
): Promise<void> {
  const now = new Date();
  for (const state of red) {
    if (!notices.states.has(state.name))
      notices.states.set(state.name, { item: raisedAt(state, now), on: new Map() });
  }
  const states = red.flatMap(({ name }) => notices.states.get(name) ?? []);
  await Promise.all(
    deps.channels.map(async (channel) => {
      if (!isDue(notices, channel.name)) return;
      const due: UntrackedState[] = [];
      for (const state of states)
        if (await isToBeTold(notices, deps, channel, state)) due.push(state);
      const raised = due.map(({ item }) => item);
      if (!(await send(notices, deps, channel, { raised, cleared: [] }, signal))) return;
      for (const { item, on } of due) {
        on.set(channel.name, 'told');
        wait(notices, keyOf(channel, item), SAME_STATE_MS);
      }
    }),
  );
}

const raisedAt = (state: RedState, since: Date): NoticeItem => ({ ...state, since });

/** Whether it is for this process to tell of the state on the channel. */
async function isToBeTold(
  notices: UntrackedNotices,
  { isFirst }: UntrackedDeps,
  channel: NoticeChannel,
  { item, on }: UntrackedState,
): Promise<boolean> {
  const status = on.get(channel.name);
  if (status !== undefined) return status === 'claimed';
  if (!isDue(notices, keyOf(channel, item))) return false;
  const isOurs = await isFirst(`alert:${keyOf(channel, item)}`, SAME_STATE_MS).catch(() => true);
  if (isOurs) on.set(channel.name, 'claimed');
  return isOurs;
}

/** Tells of states that are over, where this process has told that they were raised. */
export async function tellCleared(
  notices: UntrackedNotices,
  deps: UntrackedDeps,
  fine: readonly RedStateName[],
  signal: AbortSignal,
): Promise<void> {
  const over = fine.flatMap((name) => notices.states.get(name) ?? []);
  if (over.length === 0) return;
  const until = new Date();
  await Promise.all(
    deps.channels.map(async (channel) => {
      const due = over.filter(({ on }) => on.get(channel.name) === 'told');
      const cleared = due.map(({ item }) => endedAt(item, until));
      if (await send(notices, deps, channel, { raised: [], cleared }, signal))
        for (const { on } of due) on.delete(channel.name);
    }),
  );
  for (const { item, on } of over)
    if (![...on.values()].includes('told')) notices.states.delete(item.name);
}

const endedAt = (item: NoticeItem, until: Date) => ({ ...item, until });

/** Hands states that are tracked now over: their names by channel, where this process has told of them. Forgets them. */
export function handOver(
  notices: UntrackedNotices,
  names: readonly string[],
): Map<string, RedStateName[]> {
  const told = new Map<string, RedStateName[]>();
  for (const [name, { on }] of notices.states) {
    if (!names.includes(name)) continue;
    for (const [channel, status] of on)
      if (status === 'told') told.set(channel, [...(told.get(channel) ?? []), name]);
    notices.states.delete(name);
  }
  return told;
}

/** False also when there is nothing to send. */
async function send(
  notices: UntrackedNotices,
  { log, environment, runbookUrl }: UntrackedDeps,
  channel: NoticeChannel,
  content: Omit<Notice, 'environment' | 'runbookUrl'>,
  signal: AbortSignal,
): Promise<boolean> {
  if (content.raised.length + content.cleared.length === 0) return false;
  wait(notices, channel.name, GAP_MS);
  return sendNotice(log, channel, { environment, runbookUrl, ...content }, signal);
}

const keyOf = (channel: NoticeChannel, { name }: RedState): string => `${channel.name}:${name}`;

const isDue = ({ notBefore }: UntrackedNotices, key: string): boolean =>
  performance.now() >= (notBefore.get(key) ?? 0);

const wait = ({ notBefore }: UntrackedNotices, key: string, forMs: number): void =>
  void notBefore.set(key, performance.now() + forMs);
