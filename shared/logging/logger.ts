import { hostname } from 'node:os';
import { pino, type DestinationStream, type LoggerOptions as PinoOptions } from 'pino';
import { product } from '../config/version.js';
import { messageWithCauses } from '../errors/message-of.js';
import { escapeControls } from '../escape-controls.js';
import { createLineStamp } from './line-stamp.js';
import type { LogMessage } from './messages.js';

/** Logs one line of a level. */
interface LogLine<Message> {
  (fields: object, message: Message): void;
  (message: Message): void;
}

/** A structured logger. The message is one of a closed list; what varies goes into fields, named as in ECS. */
export interface Logger<Message extends string = LogMessage> {
  readonly trace: LogLine<Message>;
  readonly debug: LogLine<Message>;
  readonly info: LogLine<Message>;
  readonly warn: LogLine<Message>;
  readonly error: LogLine<Message>;
  readonly fatal: LogLine<Message>;
  /** A logger that adds these fields to each of its lines. */
  child(
    fields: Readonly<Record<string, unknown>>,
    options?: Pick<PinoOptions, 'level'>,
  ): Logger<Message>;
}

/** The logger of a process. */
export interface RootLogger<Message extends string = LogMessage> extends Logger<Message> {
  /**
   * Logs a line whose fields are JSON already: members of an object, each with a leading comma. The message has no character
   * that JSON escapes, nor the members one that {@link escapeControls} does. For what is logged at every request: it costs an eighth of a line whose fields are an object.
   */
  readonly members: (level: 'info' | 'warn' | 'error', members: string, message: Message) => void;
}

export interface LoggerOptions {
  /** `rollcall-api`, `rollcall-worker`, … */
  readonly service: string;
  readonly environment: string;
  readonly level: string;
  /** Receives each line: one JSON object and a newline. Standard output by default. */
  readonly destination?: LogDestination;
}

/** Receives log lines. */
export interface LogDestination {
  write(line: string): void;
  /** Called after a `fatal` line: the process may end within this turn of the event loop. */
  flushSync?(): void;
}

const stdout: DestinationStream = { write: (line) => void process.stdout.write(line) };

/**
 * Creates a logger that writes one flat JSON object a line, with the field names of the Elastic Common Schema (ECS), so
 * that the same line can go to stdout, Firehose and OpenSearch. Each line has a unique `event.id`, and no character that a
 * terminal or a reader of lines would obey.
 */
export function createLogger<Message extends string = LogMessage>({
  service,
  environment,
  level,
  destination = stdout,
}: LoggerOptions): RootLogger<Message> {
  const base = {
    'service.name': service,
    'service.version': product.version,
    'service.environment': environment,
    'host.name': hostname(),
    'process.pid': process.pid,
  };
  const stamp = createLineStamp();
  const log = pino(
    {
      level,
      base,
      messageKey: 'message',
      errorKey: 'err',
      // Pino writes this text as it is, which costs less than two fields.
      timestamp: stamp,
      formatters: { level: (label) => ({ 'log.level': label }), log: withFlatError },
      serializers: { err: () => undefined },
    },
    escaped(destination),
  );
  const baseMembers = `,${JSON.stringify(base).slice(1, -1)}`;
  return Object.assign(log, {
    members(at: 'info' | 'warn' | 'error', members: string, message: Message) {
      if (!log.isLevelEnabled(at)) return;
      const line = `{"log.level":"${at}"${stamp()}${baseMembers}${members},"message":"${message}"}\n`;
      destination.write(line);
    },
  });
}

/** Pino escapes what JSON must, and no more. */
const escaped = (destination: LogDestination): LogDestination => ({
  write: (line) => destination.write(`${escapeControls(line.trimEnd())}\n`),
  flushSync: () => destination.flushSync?.(),
});

/** Replaces `err` by flat ECS fields: the index has no nested objects. */
function withFlatError(fields: Record<string, unknown>): Record<string, unknown> {
  if (!('err' in fields)) return fields;
  const { err, ...others } = fields;
  return { ...others, ...describeError(err) };
}

/** An error as ECS fields, with its causes. The stack trace is for operators and never in an HTTP response. */
function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { 'error.message': String(error) };
  const code: unknown = 'code' in error ? error.code : undefined;
  return {
    'error.type': error.name,
    'error.message': messageWithCauses(error),
    ...(typeof code === 'string' && { 'error.code': code }),
    ...(error.stack !== undefined && { 'error.stack_trace': error.stack }),
  };
}
