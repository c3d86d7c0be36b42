import { format } from 'node:util';
import type { Logger } from './logger.js';

const levels = {
  trace: 'debug',
  debug: 'debug',
  log: 'info',
  info: 'info',
  warn: 'warn',
  error: 'error',
} as const;

/**
 * Logs what libraries print on the console, and Node's own warnings, for the rest of the process's life: readers of its
 * output expect one JSON object a line.
 */
export function logStrayOutput(log: Logger): void {
  for (const [method, level] of Object.entries(levels)) {
    const print = (...words: unknown[]): void =>
      log[level]({ 'error.message': format(...words) }, 'console output captured');
    Object.assign(globalThis.console, { [method]: print });
  }
  // Node's own listener prints to stderr.
  process.removeAllListeners('warning');
  process.on('warning', (warning) => log.warn({ err: warning }, 'Node.js warning'));
}
