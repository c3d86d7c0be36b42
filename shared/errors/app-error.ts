import { errorCodes, type ErrorCode } from './codes.js';

/** One invalid field: a JSON pointer (RFC 6901) into the body, or the name of a parameter, and what is wrong. */
export interface FieldFault {
  readonly pointer: string;
  readonly detail: string;
}

/** `detail`, `fields` and `headers` are sent to the client; `cause` is only logged. */
export interface AppErrorOptions {
  readonly detail?: string;
  readonly fields?: readonly FieldFault[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** An error that is sent to the client. */
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

/** The error as a problem document (RFC 9457). Its detail says what is wrong or, without one, what to do. */
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
