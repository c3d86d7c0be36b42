import { pino } from 'pino';
import type { RootLogger } from '../../shared/logging/logger.js';

/** A logger that keeps what it is told, for code under test that wants one. */
export interface RecordingLogger {
  readonly log: RootLogger;
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
    log: Object.assign(pino({ level: 'trace' }, { write }), {
      members: (level: pino.Level, members: string, message: string) =>
        write(`{"level":${pino.levels.values[level]}${members},"msg":"${message}"}`),
    }),
    lines,
    messages: () => lines.map(({ msg }) => msg),
  };
}
