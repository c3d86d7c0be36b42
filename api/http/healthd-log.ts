import { appendFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sentStatusOf } from '../../shared/lifecycle/refuse-broken-requests.js';
import type { Logger } from '../../shared/logging/logger.js';
import { createLogThrottle } from '../../shared/logging/log-throttle.js';
import { maskPath } from '../../shared/logging/mask.js';
import { isStream, pathOf } from './request-context.js';
import { ABORTED_STATUS } from './request-metrics.js';
import type { Listener } from './server.js';

/**
 * Requests as the health agent of Elastic Beanstalk reads them: it counts status codes and latencies. Streams are left out.
 */
export interface HealthdLog {
  /** The same listener; a line is written for each request that it answers. */
  around(listener: Listener): Listener;
  /** Writes what is left. */
  close(): Promise<void>;
}

const FLUSH_EVERY_MS = 1_000;
const MAX_BUFFERED_BYTES = 1_024 * 1_024;
const MAX_PATH_LENGTH = 200;
/** The agent reads the file of the current hour; earlier ones are kept for whoever looks into it. */
const KEPT_HOURS = 3;
const SAME_FAILURE_EVERY_MS = 60_000;

/**
 * Writes `application.log.YYYY-MM-DD-HH` (UTC) in `dir`, a line for each answered request, in the agent's format:
 * Unix time, path, status, request time, upstream time and `X-Forwarded-For`, which is left out. Lines are written once
 * a second. Without a writable folder they are dropped, with a warning: no request depends on them.
 * https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/health-enhanced-serverlogs.html
 */
export function openHealthdLog(dir: string, log: Logger): HealthdLog {
  const isDue = createLogThrottle(SAME_FAILURE_EVERY_MS);
  let lines = '';
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();
  let lastFile = '';

  const write = async (text: string): Promise<void> => {
    const file = fileOf(Date.now());
    try {
      await appendFile(join(dir, file), text);
    } catch (error) {
      if (isDue('write')) log.warn({ err: error }, 'health lines not written');
      return;
    }
    if (file === lastFile) return;
    lastFile = file;
    await removeOld(dir).catch((error: unknown) =>
      // Tried again in the next hour.
      log.warn({ err: error }, 'old health lines not removed'),
    );
  };
  const flush = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    const text = lines;
    lines = '';
    if (text !== '') writing = writing.then(() => write(text));
    return writing;
  };
  const add = (line: string): void => {
    if (lines.length > MAX_BUFFERED_BYTES) return;
    lines += line;
    timer ??= setTimeout(() => void flush(), FLUSH_EVERY_MS).unref();
  };
  return {
    around: ({ onRequest, ...rest }) => ({
      ...rest,
      onRequest: (req, res) => {
        const startedAt = performance.now();
        const { url = '/' } = req;
        res.once('close', () => {
          if (isStream(req)) return;
          add(
            healthdLine({
              at: Date.now(),
              url,
              status: sentStatusOf(res) ?? ABORTED_STATUS,
              seconds: (performance.now() - startedAt) / 1_000,
            }),
          );
        });
        onRequest(req, res);
      },
    }),
    close: flush,
  };
}

/** One line. Its path holds nothing that separates fields, no query, which may hold a token, and no token or address itself. */
export function healthdLine(request: {
  readonly at: number;
  readonly url: string;
  readonly status: number;
  readonly seconds: number;
}): string {
  const safe = maskPath(pathOf(request)).slice(0, MAX_PATH_LENGTH).replaceAll('"', '%22');
  const seconds = request.seconds.toFixed(3);
  return `${(request.at / 1_000).toFixed(3)}"${safe}"${request.status}"${seconds}"${seconds}"-\n`;
}

const fileOf = (at: number): string =>
  `application.log.${new Date(at).toISOString().slice(0, 13).replace('T', '-')}`;

/** Files of hours before those that are kept; nothing else in the folder is ours. */
async function removeOld(dir: string): Promise<void> {
  const oldest = fileOf(Date.now() - (KEPT_HOURS - 1) * 3_600_000);
  for (const name of await readdir(dir)) {
    if (/^application\.log\.\d{4}-\d\d-\d\d-\d\d$/.test(name) && name < oldest)
      await rm(join(dir, name), { force: true });
  }
}
