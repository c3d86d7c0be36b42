/** One look-up that waits for the end of this turn of the event loop. */
interface Waiting<Key, Found> {
  readonly key: Key;
  readonly resolve: (found: Found) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Merges what is looked up within one turn of the event loop into one call: a round trip for all requests that have just
 * arrived, instead of one for each. Nothing is kept: every look-up is answered by a call that began after it.
 * @param find looks up at most `maxKeys` keys and resolves to one result for each, in their order. When it fails, each of
 *   its look-ups fails with its error.
 */
export function coalesce<Key, Found>(
  find: (keys: readonly Key[]) => Promise<readonly Found[]>,
  maxKeys: number,
): (key: Key) => Promise<Found> {
  let waiting: Waiting<Key, Found>[] = [];

  const findAll = (): void => {
    const all = waiting;
    waiting = [];
    for (let from = 0; from < all.length; from += maxKeys)
      void settle(all.slice(from, from + maxKeys), find);
  };

  return (key) =>
    new Promise((resolve, reject) => {
      waiting.push({ key, resolve, reject });
      if (waiting.length === 1) setImmediate(findAll);
    });
}

async function settle<Key, Found>(
  lookUps: readonly Waiting<Key, Found>[],
  find: (keys: readonly Key[]) => Promise<readonly Found[]>,
): Promise<void> {
  try {
    const found = await find(lookUps.map(({ key }) => key));
    if (found.length !== lookUps.length)
      throw new Error(`${found.length} results for ${lookUps.length} look-ups`);
    for (const [i, { resolve }] of lookUps.entries()) resolve(found[i] as Found);
  } catch (error) {
    for (const { reject } of lookUps) reject(error);
  }
}
