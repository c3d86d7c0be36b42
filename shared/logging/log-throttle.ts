/**
 * Limits how often the same thing is logged: returns true the first time, and again once `everyMs` have passed since the
 * last true. Texts that differ only in numbers are the same, so an error's message can be passed.
 */
export function createLogThrottle(everyMs: number): (kind: string) => boolean {
  const lastAt = new Map<string, number>();
  return (text) => {
    const kind = text.replaceAll(/\d+/g, 'N').slice(0, 100);
    const now = performance.now();
    if (now - (lastAt.get(kind) ?? -Infinity) < everyMs) return false;
    lastAt.set(kind, now);
    return true;
  };
}
