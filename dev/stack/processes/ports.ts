import { randomInt } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../../../shared/errors/message-of.js';
import { claimPidFile, releasePidFile } from './pid-file.js';

/** The address of every local server: it exists without IPv6, and cannot be reached from outside the machine. */
export const loopback = '127.0.0.1';

const maxAttempts = 200;

/**
 * Where a port is taken that may be any: below those that Linux (from 32,768) and macOS (from 49,152) give by themselves to
 * connections and to servers that ask for port 0. One of theirs could be given away before its server listens.
 */
const ownPorts = { from: 10_000, below: 32_768 };

/** A port reserved until released, even while nothing listens on it. */
export interface PortClaim {
  readonly port: number;
  release(): Promise<void>;
}

/**
 * Reserves `preferred`, or the next free port; 0 is any that the system gives to nobody by itself.
 * Stacks that start at the same time never get the same port: a reservation is a lock file, held from the choice of the
 * port until its server has been stopped.
 */
export async function claimPort(preferred: number): Promise<PortClaim> {
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const port = preferred === 0 ? randomInt(ownPorts.from, ownPorts.below) : preferred + attempt;
    if (port > 65_535) break;
    const claim = await tryClaim(port);
    if (claim === undefined) continue;
    if (await isPortFree(port)) return claim;
    await claim.release();
  }
  throw new Error(
    preferred === 0
      ? `none of ${maxAttempts} ports tried is free`
      : `no free port found at ${preferred} or the ${maxAttempts} after it`,
  );
}

/** True if a server could listen on this loopback port now. */
function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: loopback, exclusive: true }, () => {
      probe.close(() => resolve(true));
    });
  });
}

async function tryClaim(port: number): Promise<PortClaim | undefined> {
  const parent = tmpdir();
  const folder = join(parent, `rollcall-ports-${userInfo().uid}`);
  const file = join(folder, String(port));
  try {
    // Not recursive: a folder for temporary files that does not exist is a mistake in TMPDIR.
    await mkdir(folder).catch(ignoreExisting);
    if (!(await claimPidFile(file))) return undefined;
  } catch (error) {
    throw new Error(
      `The folder for temporary files ${parent} cannot be used: ${messageOf(error)}. Set TMPDIR to one that exists and is writable.`,
      { cause: error },
    );
  }
  return { port, release: () => releasePidFile(file) };
}

function ignoreExisting(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
}
