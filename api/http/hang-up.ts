import type { Request, Response } from 'express';

const LINGER_MS = 1_000;
const LINGER_BYTES = 1_024 * 1_024;

/**
 * Answers a request whose body is not wanted, and closes the connection. The whole answer goes out at once, but the
 * connection is closed only when the client has sent everything or hung up, or after a second or a mebibyte: closed
 * while data come in, it would be reset, and the client would never see the answer (RFC 9112, section 9.6).
 */
export function sendAndHangUp(req: Request, res: Response, body: Buffer): void {
  res.setHeader('Connection', 'close').setHeader('Content-Length', body.length);
  res.write(body);
  let bytes = 0;
  const end = (): void => {
    clearTimeout(timer);
    res.end();
  };
  const timer = setTimeout(end, LINGER_MS);
  req.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > LINGER_BYTES) end();
  });
  for (const event of ['end', 'error', 'close']) req.once(event, end);
}
