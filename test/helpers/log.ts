import { pino } from 'pino';
import type { Logger } from '../../shared/logging/logger.js';

/** A logger that keeps what it is told, for code under test that wants one. */
export interface RecordingLogger {
  readonly log: Logger;
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  /** The messages so far. */
  messages(): unknown[];
}

/** Opens a logger that writes nothing anywhere. */
export function createRecordingLogger(): RecordingLogger {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void =>
    void lines.push(JSON.parse(line) as Record<string, unknown>);
  return {
    log: pino({ level: 'trace' }, { write }),
    lines,
    messages: () => lines.map(({ msg }) => msg),
  };
}
