import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** The process that owns a folder of the spool. */
export interface FolderOwner {
  /** Unique to one start of one process. */
  readonly bootId: string;
  readonly pid: number;
  /** Where the pid is valid: hosts and containers with the same name may each have their own pids. */
  readonly pidNamespace: string;
  readonly host: string;
}

/** Owners send a heartbeat every two seconds. One without a heartbeat for this long is dead, wherever it ran. */
const HEARTBEAT_TIMEOUT_MS = 60_000;

/** Owns folders that a stopped process has released. */
export const noOwner: FolderOwner = { bootId: '-', pid: 0, pidNamespace: '-', host: '-' };

/** A new owner: this process. */
export function thisProcess(): FolderOwner {
  return {
    bootId: randomUUID(),
    pid: process.pid,
    pidNamespace: readPidNamespace(),
    host: hostname().replaceAll(/[^\w.-]/g, '_'),
  };
}

/** The name of a folder: its id, which is part of its batches' job ids, and its owner. A takeover is one rename. */
export const folderName = (id: string, owner: FolderOwner): string =>
  [id, owner.bootId, owner.pid, owner.pidNamespace, owner.host].join('~');

/** The id and owner in a folder's name; undefined if this is not a folder of the spool. */
export function parseFolderName(name: string): { id: string; owner: FolderOwner } | undefined {
  const parts = /^([\da-f-]{36})~([\da-f-]{36}|-)~(\d+)~([^~]+)~([^~]+)$/.exec(name);
  if (!parts) return undefined;
  const [, id = '', bootId = '', pid, pidNamespace = '', host = ''] = parts;
  return { id, owner: { bootId, pid: Number(pid), pidNamespace, host } };
}

/**
 * Whether an owner has ended, as far as this process can know.
 * @param heartbeatAgeMs milliseconds since the owner's last heartbeat; negative when a clock was set back.
 */
export function isOwnerDead(
  owner: FolderOwner,
  self: FolderOwner,
  heartbeatAgeMs: number,
): boolean {
  if (owner.bootId === self.bootId) return false;
  if (owner.bootId === noOwner.bootId) return true;
  // In both directions: after a clock is set back, a folder must not stay owned for ever.
  if (Math.abs(heartbeatAgeMs) >= HEARTBEAT_TIMEOUT_MS) return true;
  if (owner.host !== self.host || owner.pidNamespace !== self.pidNamespace) return false;
  // A process with the same pid must have ended before this one started.
  return owner.pid === self.pid || !isRunning(owner.pid);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}

function readPidNamespace(): string {
  try {
    const namespace = readlinkSync('/proc/self/ns/pid').replaceAll(/\D/g, '');
    // Namespace numbers are unique only until the kernel restarts.
    return `${namespace}-${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8)}`;
  } catch {
    // Only Linux has them.
    return 'none';
  }
}
