import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { claimPidFile, releasePidFile } from './pid-file.js';

/** Everything local listens here: it exists without IPv6, and nobody outside the machine can reach it. */
export const loopback = '127.0.0.1';

const portsToTry = 200;

/** A port that is ours until released, even while nothing listens on it yet. */
export interface PortClaim {
  readonly port: number;
  release(): Promise<void>;
}

/**
 * Claims `preferred`, or the next port that is free; 0 asks the system for any.
 * Two stacks that start at the same moment never get the same port: a claim is a file that names its holder,
 * and holds from the choice of a number until the server that will listen on it has been stopped.
 */
export async function claimPort(preferred: number): Promise<PortClaim> {
  for (let attempt = 0; attempt < portsToTry; attempt += 1) {
    const port = preferred === 0 ? await anyFreePort() : preferred + attempt;
    if (port > 65_535) break;
    const claim = await tryClaim(port);
    if (claim === undefined) continue;
    if (await isPortFree(port)) return claim;
    await claim.release();
  }
  throw new Error(`no free port found at ${preferred} or the ${portsToTry} after it`);
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
