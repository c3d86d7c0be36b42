import { errorCodes, type ErrorCode } from './codes.js';

/** One field at fault: a JSON pointer (RFC 6901) into the body, or the name of a parameter, and what is wrong. */
export interface FieldFault {
  readonly pointer: string;
  readonly detail: string;
}

/** What an error may carry. `detail`, `fields` and `headers` are public; `cause` is only ever logged. */
export interface AppErrorOptions {
  readonly detail?: string;
  readonly fields?: readonly FieldFault[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** An error that a client is meant to see. */
export class AppError extends Error {
  readonly status: number;
  readonly title: string;
  readonly detail: string | undefined;
  readonly fields: readonly FieldFault[] | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    readonly code: ErrorCode,
    options: AppErrorOptions = {},
  ) {
    super(
      options.detail ?? errorCodes[code].title,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.name = 'AppError';
    this.status = errorCodes[code].status;
    this.title = errorCodes[code].title;
    this.detail = options.detail;
    this.fields = options.fields;
    this.headers = options.headers ?? {};
  }
}

/** An error as RFC 9457 has it. Its detail says what is wrong or, where nothing more is known, what to do. */
export function problemDocument(error: AppError, requestId: string) {
  return {
    type: `urn:rollcall:problem:${error.code.replaceAll('_', '-')}`,
    title: error.title,
    status: error.status,
    detail: error.detail ?? errorCodes[error.code].remedy,
    code: error.code,
    instance: `urn:rollcall:request:${requestId}`,
    request_id: requestId,
    ...(error.fields !== undefined && { errors: error.fields }),
  };
}
