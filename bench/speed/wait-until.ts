import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 5;

/** Polls until the condition holds. @throws naming what was waited for when the time is up. */
export async function waitUntil(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  { limitMs, signal }: { readonly limitMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await isTrue())) {
    signal.throwIfAborted();
    if (performance.now() > deadline) throw new Error(`${what}: not after ${limitMs} ms`);
    await delay(POLL_MS);
  }
}
