import type { Logger } from '../logging/logger.js';
import { noticeTimes } from './alert-store.js';
import type { RedState } from './evaluation.js';
import { sendNotice, type Notice, type NoticeChannel, type NoticeItem } from './notice.js';
import type { RedStateName } from './red-states.js';

/**
 * The notices of this process while PostgreSQL, in which the processes agree on who sends what, is away. They are kept in
 * memory: if the process ends, nobody sends that the state is over.
 */
export interface FallbackNotices {
  readonly states: Map<RedStateName, FallbackState>;
  /** When each channel may be used again, and for each state again; by a monotonic clock. */
  readonly notBefore: Map<string, number>;
}

interface FallbackState {
  readonly item: NoticeItem;
  /** By channel: `claimed` if it is for this process to send the notice, `notified` once it has. */
  readonly on: Map<string, 'claimed' | 'notified'>;
}

export interface FallbackDeps {
  readonly channels: readonly NoticeChannel[];
  readonly environment: string;
  readonly runbookUrl: string;
  readonly log: Logger;
  /**
   * Of several processes that ask with the same name within so long, one gets true. If Redis is away as well, each sends its
   * own notices.
   */
  readonly isFirst: (name: string, forMs: number) => Promise<boolean>;
}

const { gapMs, sameStateMs } = noticeTimes;

export const createFallbackNotices = (): FallbackNotices => ({
  states: new Map(),
  notBefore: new Map(),
});

/** Notifies each channel of red states that it has not been notified of. */
export async function notifyRaised(
  notices: FallbackNotices,
  deps: FallbackDeps,
  red: readonly RedState[],
  signal: AbortSignal,
): Promise<void> {
  const since = new Date();
  for (const state of red) {
    if (!notices.states.has(state.name))
      notices.states.set(state.name, { item: { ...state, since }, on: new Map() });
  }
  const states = red.flatMap(({ name }) => notices.states.get(name) ?? []);
  await Promise.all(
    deps.channels.map(async (channel) => {
      if (!isDue(notices, channel.name)) return;
      const due: FallbackState[] = [];
      for (const state of states) if (await claim(notices, deps, channel, state)) due.push(state);
      const raised = due.map(({ item }) => item);
      if (!(await send(notices, deps, channel, { raised, cleared: [] }, signal))) return;
      for (const { item, on } of due) {
        on.set(channel.name, 'notified');
        wait(notices, keyOf(channel, item), sameStateMs);
      }
    }),
  );
}

/** Whether it is for this process to notify the channel of the state. */
async function claim(
  notices: FallbackNotices,
  { isFirst }: FallbackDeps,
  channel: NoticeChannel,
  { item, on }: FallbackState,
): Promise<boolean> {
  const status = on.get(channel.name);
  if (status !== undefined) return status === 'claimed';
  if (!isDue(notices, keyOf(channel, item))) return false;
  const isOurs = await isFirst(`alert:${keyOf(channel, item)}`, sameStateMs).catch(() => true);
  if (isOurs) on.set(channel.name, 'claimed');
  return isOurs;
}

/** Notifies each channel of states that are over, where this process has notified it that they were raised. */
export async function notifyCleared(
  notices: FallbackNotices,
  deps: FallbackDeps,
  notRed: readonly RedStateName[],
  signal: AbortSignal,
): Promise<void> {
  const over = notRed.flatMap((name) => notices.states.get(name) ?? []);
  if (over.length === 0) return;
  const until = new Date();
  await Promise.all(
    deps.channels.map(async (channel) => {
      const due = over.filter(({ on }) => on.get(channel.name) === 'notified');
      const cleared = due.map(({ item }) => ({ ...item, until }));
      if (await send(notices, deps, channel, { raised: [], cleared }, signal))
        for (const { on } of due) on.delete(channel.name);
    }),
  );
  for (const { item, on } of over)
    if (![...on.values()].includes('notified')) notices.states.delete(item.name);
}

/** Of which of these states this process has notified each channel. */
export function notifiedStates(
  notices: FallbackNotices,
  names: readonly string[],
): Map<string, RedStateName[]> {
  const notified = new Map<string, RedStateName[]>();
  for (const [name, { on }] of notices.states) {
    if (!names.includes(name)) continue;
    for (const [channel, status] of on)
      if (status === 'notified') notified.set(channel, [...(notified.get(channel) ?? []), name]);
  }
  return notified;
}

/** That the channel was notified of these states is recorded in PostgreSQL now. */
export function forgetNotified(
  { states }: FallbackNotices,
  channel: string,
  names: readonly RedStateName[],
): void {
  for (const name of names) {
    const on = states.get(name)?.on;
    on?.delete(channel);
    if (on?.size === 0) states.delete(name);
  }
}

/** False also when there is nothing to send. */
async function send(
  notices: FallbackNotices,
  { log, environment, runbookUrl }: FallbackDeps,
  channel: NoticeChannel,
  content: Pick<Notice, 'raised' | 'cleared'>,
  signal: AbortSignal,
): Promise<boolean> {
  if (content.raised.length + content.cleared.length === 0) return false;
  wait(notices, channel.name, gapMs);
  return sendNotice(log, channel, { environment, runbookUrl, ...content }, signal);
}

const keyOf = (channel: NoticeChannel, { name }: RedState): string => `${channel.name}:${name}`;

const isDue = ({ notBefore }: FallbackNotices, key: string): boolean =>
  performance.now() >= (notBefore.get(key) ?? 0);

const wait = ({ notBefore }: FallbackNotices, key: string, forMs: number): void =>
  void notBefore.set(key, performance.now() + forMs);
