import type { AppError } from './app-error.js';
import { errorCodes } from './codes.js';

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
