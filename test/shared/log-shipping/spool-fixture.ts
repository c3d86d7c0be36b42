import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { createLogger, type Logger } from '../../../shared/logging/logger.js';
import { openSpool, type ShippingRoute, type Spool } from '../../../shared/log-shipping/spool.js';
import {
  parseFolderName,
  thisProcess,
  type FolderOwner,
} from '../../../shared/log-shipping/folder-owner.js';
import type { NewJob } from '../../../shared/queues/job-queue.js';
import type { JobState } from '../../../shared/queues/job-state.js';
import type { Scope } from '../../helpers/context.js';
import { createRecordingLogger, type RecordingLogger } from '../../helpers/log.js';

export const KIB = 1_024;
export const MIB = KIB * KIB;

/** A directory for spools, and what is in it. */
export interface SpoolFixture {
  readonly dir: string;
  open(options?: OpenOptions): OpenedSpool;
  /** Paths of all segments, by folder and number. */
  segments(): Promise<string[]>;
  /** All whole lines on disk. */
  lines(): Promise<string[]>;
  /** Boot ids of the folders' owners. */
  owners(): Promise<string[]>;
}

interface OpenOptions {
  readonly maxBytes?: number;
  readonly me?: FolderOwner;
  readonly level?: string;
}

/** The spool of one process, simulated inside of the test's. */
export interface OpenedSpool {
  readonly spool: Spool;
  readonly me: FolderOwner;
  /** Writes to the spool. */
  readonly log: Logger<string>;
  readonly local: RecordingLogger;
  /** What was written to stdout. */
  printed(): string;
  /** Starts shipping, until the end of the test. */
  ship(route: Omit<ShippingRoute, 'log'>): ReturnType<Spool['startShipping']>;
}

/** Creates an empty directory, which is removed at the end of the scope, as its spools are closed. */
export async function createSpoolFixture(scope: Scope): Promise<SpoolFixture> {
  const dir = await mkdtemp(join(tmpdir(), 'rollcall-spool-'));
  scope.teardown(() => rm(dir, { recursive: true, force: true }));
  const segments = async (): Promise<string[]> => {
    const folders = (await readdir(dir)).toSorted();
    const files = await Promise.all(
      folders.map(async (folder) =>
        (await readdir(join(dir, folder))).toSorted().map((file) => join(dir, folder, file)),
      ),
    );
    return files.flat();
  };
  return {
    dir,
    segments,
    open: (options = {}) => openTestSpool(scope, dir, options),
    async lines() {
      const texts = await Promise.all((await segments()).map((path) => readFile(path, 'utf8')));
      return texts.flatMap((text) => text.split(/(?<=\n)/)).filter((line) => line.endsWith('\n'));
    },
    async owners() {
      return (await readdir(dir)).map((name) => parseFolderName(name)?.owner.bootId ?? name);
    },
  };
}

function openTestSpool(
  scope: Scope,
  dir: string,
  { maxBytes = 64 * MIB, me = remoteOwner(), level = 'info' }: OpenOptions,
): OpenedSpool {
  // Each simulates a process and listens to its exit.
  process.setMaxListeners(100);
  const local = createRecordingLogger();
  let printed = '';
  const spool = openSpool({
    dir,
    maxBytes,
    owner: me,
    localLog: local.log,
    print: (text) => {
      printed += text.toString();
      return true;
    },
  });
  scope.teardown(() => spool.close());
  const log = createLogger<string>({
    service: 'rollcall-test',
    environment: 'test',
    level,
    destination: spool,
  });
  return {
    spool,
    me,
    log,
    local,
    printed: () => printed,
    ship(route) {
      const shipping = spool.startShipping({ ...route, log });
      scope.teardown(() => shipping.stop(0));
      return shipping;
    },
  };
}

/** A process on another host: only missing heartbeats show that it is dead. */
export const remoteOwner = (): FolderOwner => ({
  ...thisProcess(),
  host: `host-${randomBytes(4).toString('hex')}`,
});

/** A dead process on this host: no system has a pid this large. */
export const deadLocalOwner = (): FolderOwner => ({ ...thisProcess(), pid: 2 ** 30 });

/** A running process on this host. */
export const livingLocalOwner = (): FolderOwner => ({ ...thisProcess(), pid: process.ppid });

/** A fake queue and its receipts, controlled by the test, that count how often they are asked. */
export function createRoute() {
  const added: NewJob[] = [];
  const states = new Map<string, JobState>();
  const shipped = new Set<string>();
  const asked = { states: 0, receipts: 0 };
  const route = {
    isRefusing: false,
    hasRoom: true,
    added,
    states,
    shipped,
    asked,
    queue: {
      async add(job: NewJob) {
        if (route.isRefusing) throw new Error('not now');
        added.push(job);
        states.set(job.id, { state: 'waiting' });
      },
      async stateOf(id: string): Promise<JobState> {
        asked.states += 1;
        return states.get(id) ?? { state: 'unknown' };
      },
    },
    receipts: {
      async write(id: string) {
        shipped.add(id);
      },
      async find(ids: readonly string[]) {
        asked.receipts += 1;
        return new Set(ids.filter((id) => shipped.has(id)));
      },
    },
    /** Ships all jobs, as the worker does. */
    arrive() {
      for (const id of states.keys()) shipped.add(id);
      states.clear();
    },
    asRoute: () => ({
      queue: route.queue,
      receipts: route.receipts,
      room: { has: async () => route.hasRoom },
    }),
  };
  return route;
}

export const line = (number: number, size = 0): string =>
  `${JSON.stringify({ number, filler: 'x'.repeat(Math.max(0, size - 30)) }).padEnd(size - 1)}\n`;
export const numbersOf = (lines: readonly string[]): unknown[] =>
  lines.map((text) => (JSON.parse(text) as { number: unknown }).number);
export const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
