import type { MeasuredServer } from '../world.js';

const LIMIT_MS = 300_000;

/** Asks a program for a batch of work by GET /run; resolves when it says that all is done. @throws when it fails. */
export async function runBatch(
  { port, name }: MeasuredServer,
  parameters: Readonly<Record<string, number>>,
  signal: AbortSignal,
): Promise<Readonly<Record<string, number>>> {
  const query = Object.entries(parameters).map(([key, value]) => `${key}=${value}`);
  const response = await fetch(`http://127.0.0.1:${port}/run?${query.join('&')}`, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]),
  });
  if (!response.ok) throw new Error(`${name}: ${await response.text()}`);
  return (await response.json()) as Record<string, number>;
}
