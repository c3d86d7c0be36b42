import { AppError } from '../../../shared/errors/app-error.js';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Parses what a queue or SNS sends as JSON. @throws {AppError} `malformed_request`. */
export function parseMessage(json: Uint8Array | string): unknown {
  try {
    return JSON.parse(typeof json === 'string' ? json : utf8.decode(json));
  } catch {
    // The parser's error would quote the message.
    throw new AppError('malformed_request');
  }
}
