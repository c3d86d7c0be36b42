import type { Response } from 'express';
import type { Logger } from '../../../shared/logging/logger.js';
import { maskError } from '../../../shared/logging/mask.js';

/** One open stream of live updates. */
export interface Stream {
  readonly res: Response;
  readonly sessionId: number;
  /** Which page it is of. */
  readonly page: string;
  /** False once its session has ended. @throws when that cannot be asked. */
  readonly isAllowed: () => Promise<boolean>;
}

/** What is sent of a page: parts that were sent before are left out. */
export type RenderPage = (page: string) => Promise<readonly LivePart[]>;

export interface LivePart {
  readonly id: string;
  readonly html: string;
}

/** The open streams of live updates of this process. */
export interface Streams {
  /** False when there are too many, in all or of this session. */
  add(stream: Stream, render: RenderPage): boolean;
  /** Ends all of them; none is added any more. */
  close(): Promise<void>;
}

const EVERY_MS = 3_000;
const MAX_STREAMS = 100;
const MAX_PER_SESSION = 6;
/** A client that does not read keeps what is written in this process's memory: it is cut off, and a browser connects anew. */
const MAX_UNREAD_BYTES = 256 * 1_024;

interface State {
  readonly log: Logger;
  readonly open: Set<Stream>;
  /** By page: what was sent last of each part. */
  readonly sent: Map<string, Map<string, string>>;
  /** Pages that could not be rendered the last time. */
  readonly failing: Set<string>;
  timer: NodeJS.Timeout | undefined;
  running: Promise<void> | undefined;
  isClosed: boolean;
}

/** Every page is rendered once for all who watch it, every few seconds, and only while somebody does. */
export function createStreams(log: Logger): Streams {
  const state: State = {
    log,
    open: new Set(),
    sent: new Map(),
    failing: new Set(),
    timer: undefined,
    running: undefined,
    isClosed: false,
  };
  return {
    add: (stream, render) => add(state, stream, render),
    async close() {
      state.isClosed = true;
      clearTimeout(state.timer);
      for (const { res } of state.open) res.end();
      await state.running;
    },
  };
}

function add(state: State, stream: Stream, render: RenderPage): boolean {
  const ofSession = [...state.open].filter(({ sessionId }) => sessionId === stream.sessionId);
  if (state.isClosed || state.open.size >= MAX_STREAMS || ofSession.length >= MAX_PER_SESSION)
    return false;
  // Its client went while the session was asked for: `close` does not come any more.
  if (stream.res.destroyed) return true;
  state.open.add(stream);
  stream.res.once('close', () => {
    state.open.delete(stream);
    if (state.open.size === 0) clearTimeout(state.timer);
    if (![...state.open].some(({ page }) => page === stream.page)) state.sent.delete(stream.page);
  });
  // What it shows already may have been rendered before the last change.
  state.sent.delete(stream.page);
  if (state.open.size === 1) schedule(state, render);
  return true;
}

function schedule(state: State, render: RenderPage): void {
  clearTimeout(state.timer);
  state.timer = setTimeout(() => {
    state.running = update(state, render).finally(() => {
      if (!state.isClosed && state.open.size > 0) schedule(state, render);
    });
  }, EVERY_MS);
}

/** Never rejects. */
async function update(state: State, render: RenderPage): Promise<void> {
  const streams = [...state.open];
  const pages = [...new Set(streams.map(({ page }) => page))];
  const [events, allowed] = await Promise.all([
    Promise.all(pages.map(async (page) => [page, await eventOf(state, page, render)] as const)),
    // In one turn of the event loop: one statement asks for all sessions.
    Promise.all(streams.map(({ isAllowed }) => isAllowed().catch(() => undefined))),
  ]);
  const byPage = new Map(events);
  for (const [i, { res, page }] of streams.entries()) {
    if (res.writableEnded || res.destroyed) continue;
    if (res.writableLength > MAX_UNREAD_BYTES) res.destroy();
    else if (allowed[i] === true) res.write(byPage.get(page) ?? partsEvent([]));
    // While nobody can ask for the session nothing is shown.
    else if (allowed[i] === undefined) res.write(UNKNOWN);
    else res.end('event: ended\ndata: {}\n\n');
  }
}

/** The parts that have changed, none of them too, with the time by which a page counts their ages. */
const partsEvent = (parts: readonly LivePart[]): string =>
  `event: parts\ndata: ${JSON.stringify({ now: new Date(), parts })}\n\n`;

/** What the page shows may be over. */
const UNKNOWN = 'event: unknown\ndata: {}\n\n';

async function eventOf(state: State, page: string, render: RenderPage): Promise<string> {
  const sent = state.sent.get(page) ?? new Map<string, string>();
  state.sent.set(page, sent);
  try {
    const parts = (await render(page)).filter(({ id, html }) => sent.get(id) !== ageless(html));
    for (const { id, html } of parts) sent.set(id, ageless(html));
    state.failing.delete(page);
    return partsEvent(parts);
  } catch (error) {
    const isNew = !state.failing.has(page);
    state.failing.add(page);
    // The next turn tries again.
    if (isNew) state.log.warn({ 'labels.page': page, err: maskError(error) }, 'live update failed');
    return UNKNOWN;
  }
}

/** Ages grow by themselves in the browser: they are no news. */
const ageless = (html: string): string => html.replaceAll(/(<time class="ago"[^<>]*>)[^<]*/g, '$1');
