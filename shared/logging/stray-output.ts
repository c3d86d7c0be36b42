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
 * Makes lines of the log of what libraries print on the console and of Node's own warnings, for the rest of the
 * process's life: whoever reads its output expects one JSON object a line.
 */
export function logStrayOutput(log: Logger): void {
  for (const [method, level] of Object.entries(levels)) {
    const print = (...words: unknown[]): void =>
      log[level]({ 'error.message': format(...words) }, 'console output captured');
    Object.assign(globalThis.console, { [method]: print });
  }
  // Node's own listener prints.
  process.removeAllListeners('warning');
  process.on('warning', (warning) => log.warn({ err: warning }, 'Node.js warning'));
}
