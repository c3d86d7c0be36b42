/**
 * The result of the work, or undefined if it has not ended after so many milliseconds; nothing stops it then, and an error
 * that comes later is ignored. @throws what the work throws in time.
 */
export async function waitAtMost<T>(ms: number, work: T | Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
