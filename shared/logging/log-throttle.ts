const MAX_KINDS = 500;

/**
 * Limits how often the same thing is logged: returns true the first time, and again once `everyMs` have passed since the
 * last true. Texts that differ only in numbers are the same, so an error's message can be passed. Beyond 500 kinds the one
 * that was logged longest ago is forgotten.
 */
export function createLogThrottle(everyMs: number): (kind: string) => boolean {
  // In the order in which they were logged.
  const lastAt = new Map<string, number>();
  return (text) => {
    const kind = text.replaceAll(/\d+/g, 'N').slice(0, 100);
    const now = performance.now();
    if (now - (lastAt.get(kind) ?? -Infinity) < everyMs) return false;
    lastAt.delete(kind);
    lastAt.set(kind, now);
    const [oldest] = lastAt.keys();
    if (lastAt.size > MAX_KINDS && oldest !== undefined) lastAt.delete(oldest);
    return true;
  };
}
