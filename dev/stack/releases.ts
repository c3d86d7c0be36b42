/** Gives back what was opened. */
export type Release = () => Promise<unknown> | void;

/**
 * Calls all releases, the last opened first, and each of them even if others fail; leaves none, so that a second call does
 * nothing.
 * @throws what failed, at the end.
 */
export async function releaseAll(releases: Release[]): Promise<void> {
  const failures: unknown[] = [];
  for (const release of releases.splice(0).toReversed()) {
    try {
      await release();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, failures.map(String).join('; '));
}

/** Registers the release of what was just opened. */
export type OnClose = (release: Release) => void;

/** What `open` opens, and `close`, which releases all of it. If it fails, what was opened until then is released. */
export async function openWithClose<T extends object>(
  open: (onClose: OnClose) => Promise<T>,
): Promise<T & { close(): Promise<void> }> {
  const releases: Release[] = [];
  const close = (): Promise<void> => releaseAll(releases);
  try {
    return { ...(await open((release) => void releases.push(release))), close };
  } catch (error) {
    // Why it could not be opened is told, not what failed afterwards.
    await close().catch(() => undefined);
    throw error;
  }
}
