import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** The process that holds a folder of the spool. */
export interface FolderOwner {
  /** One start of one process. */
  readonly bootId: string;
  readonly pid: number;
  /** Where the pid counts: hosts and containers of one name may have several. */
  readonly pidNamespace: string;
  readonly host: string;
}

/** Owners show that they live every two seconds. One that has not for so long is dead, wherever it was. */
const SILENT_AFTER_MS = 60_000;

/** Holds what an ended process has left for others. */
export const noOwner: FolderOwner = { bootId: '-', pid: 0, pidNamespace: '-', host: '-' };

/** This process, from now on. */
export function thisProcess(): FolderOwner {
  return {
    bootId: randomUUID(),
    pid: process.pid,
    pidNamespace: readPidNamespace(),
    host: hostname().replaceAll(/[^\w.-]/g, '_'),
  };
}

/** A folder's name: its id, which is part of its batches' job ids, and its owner. Taking it over is one rename. */
export const folderName = (id: string, owner: FolderOwner): string =>
  [id, owner.bootId, owner.pid, owner.pidNamespace, owner.host].join('~');

/** What a folder's name tells; nothing if it is no folder of a spool. */
export function parseFolderName(name: string): { id: string; owner: FolderOwner } | undefined {
  const parts = /^([\da-f-]{36})~([\da-f-]{36}|-)~(\d+)~([^~]+)~([^~]+)$/.exec(name);
  if (!parts) return undefined;
  const [, id = '', bootId = '', pid, pidNamespace = '', host = ''] = parts;
  return { id, owner: { bootId, pid: Number(pid), pidNamespace, host } };
}

/** Whether an owner that showed itself so long ago has ended, as far as the process that asks can know. */
export function isDead(owner: FolderOwner, me: FolderOwner, silentMs: number): boolean {
  if (owner.bootId === me.bootId) return false;
  if (owner.bootId === noOwner.bootId) return true;
  // Either way: a clock that was set back must not keep a folder for ever.
  if (Math.abs(silentMs) >= SILENT_AFTER_MS) return true;
  if (owner.host !== me.host || owner.pidNamespace !== me.pidNamespace) return false;
  // Who has my pid ended before I began.
  return owner.pid === me.pid || !isRunning(owner.pid);
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
    // Namespaces are counted from the start of the kernel.
    return `${namespace}-${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8)}`;
  } catch {
    // Only Linux has them.
    return 'none';
  }
}
