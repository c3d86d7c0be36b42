import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { claimPidFile, releasePidFile } from './pid-file.js';

/** The address of every local server: it exists without IPv6, and cannot be reached from outside the machine. */
export const loopback = '127.0.0.1';

const maxAttempts = 200;

/** A port reserved until released, even while nothing listens on it. */
export interface PortClaim {
  readonly port: number;
  release(): Promise<void>;
}

/**
 * Reserves `preferred`, or the next free port; 0 is any.
 * Stacks that start at the same time never get the same port: a reservation is a lock file, held from the choice of the
 * port until its server has been stopped.
 */
export async function claimPort(preferred: number): Promise<PortClaim> {
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const port = preferred === 0 ? await anyFreePort() : preferred + attempt;
    if (port > 65_535) break;
    const claim = await tryClaim(port);
    if (claim === undefined) continue;
    if (await isPortFree(port)) return claim;
    await claim.release();
  }
  throw new Error(`no free port found at ${preferred} or the ${maxAttempts} after it`);
}

/** True if a server could listen on this loopback port now. */
async function isPortFree(port: number): Promise<boolean> {
  return (await listenOnce(port)) !== undefined;
}

async function anyFreePort(): Promise<number> {
  const port = await listenOnce(0);
  if (port === undefined) throw new Error('the system has no free port left');
  return port;
}

function listenOnce(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(undefined));
    probe.listen({ port, host: loopback, exclusive: true }, () => {
      const address = probe.address();
      const found = typeof address === 'object' && address !== null ? address.port : undefined;
      probe.close(() => resolve(found));
    });
  });
}

async function tryClaim(port: number): Promise<PortClaim | undefined> {
  const folder = join(tmpdir(), `rollcall-ports-${userInfo().uid}`);
  await mkdir(folder, { recursive: true });
  const file = join(folder, String(port));
  if (!(await claimPidFile(file))) return undefined;
  return { port, release: () => releasePidFile(file) };
}
