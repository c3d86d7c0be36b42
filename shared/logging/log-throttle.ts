/**
 * Asked before each line about something that comes again and again: true the first time of its kind, and when so many
 * milliseconds have passed since the last true. Numbers make no kind of their own, so an error's message may tell it.
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
