/** Finds the ends of HTTP/1.1 responses in a stream of bytes; bodies are skipped unread. */
export interface ResponseParser {
  /** Takes the first `length` bytes of a buffer, which may be reused afterwards. @throws {Error} if they are no response. */
  feed(buffer: Buffer, length: number): void;
}

interface ParserState {
  readonly onResponse: (status: number, isLast: boolean) => void;
  part: 'head' | 'body' | 'chunk-size' | 'chunk' | 'trailers';
  status: number;
  isLast: boolean;
  /** Bytes of the body, or of the chunk and its line end, that are still to come. */
  remaining: number;
  /** An incomplete head or line. */
  pending: Buffer;
}

const NOTHING = Buffer.alloc(0);
const MAX_HEAD_BYTES = 65_536;
const LINE_END = '\r\n';
const HEAD_END = '\r\n\r\n';

/** `onResponse` is called at the end of each response. `isLast`: the server will close the connection (RFC 9112, 9.6). */
export function createResponseParser(onResponse: ParserState['onResponse']): ResponseParser {
  const state: ParserState = {
    onResponse,
    part: 'head',
    status: 0,
    isLast: false,
    remaining: 0,
    pending: NOTHING,
  };
  return {
    feed(buffer, length) {
      let from = 0;
      while (from < length) from = step(state, buffer.subarray(from, length), from);
    },
  };
}

/** Consumes one part; returns the offset behind it. */
function step(state: ParserState, bytes: Buffer, from: number): number {
  if (state.part === 'body' || state.part === 'chunk') {
    const taken = Math.min(bytes.length, state.remaining);
    state.remaining -= taken;
    if (state.remaining === 0) endOfBytes(state);
    return from + taken;
  }
  const mark = state.part === 'head' ? HEAD_END : LINE_END;
  const known = state.pending.length;
  const text = known === 0 ? bytes : Buffer.concat([state.pending, bytes]);
  const end = text.indexOf(mark, Math.max(0, known - mark.length), 'latin1');
  if (end < 0) {
    if (text.length > MAX_HEAD_BYTES) throw new Error('the head of a response is too long');
    // A copy, since the caller reuses its buffer.
    state.pending = Buffer.from(text);
    return from + bytes.length;
  }
  state.pending = NOTHING;
  readLine(state, text.toString('latin1', 0, end));
  return from + end + mark.length - known;
}

function endOfBytes(state: ParserState): void {
  if (state.part === 'chunk') state.part = 'chunk-size';
  else endOfResponse(state);
}

function readLine(state: ParserState, line: string): void {
  if (state.part === 'head') readHead(state, line);
  else if (state.part === 'chunk-size') {
    const size = Number.parseInt(line, 16);
    if (Number.isNaN(size)) throw new Error('a chunk has no size');
    state.part = size === 0 ? 'trailers' : 'chunk';
    state.remaining = size + LINE_END.length;
  } else if (line === '') endOfResponse(state);
}

function readHead(state: ParserState, head: string): void {
  state.status = Number(head.slice(9, 12));
  if (!head.startsWith('HTTP/1.') || !(state.status >= 100))
    throw new Error('not an HTTP response');
  const fields = head.toLowerCase();
  state.isLast = fields.includes('\r\nconnection: close');
  if (fields.includes('\r\ntransfer-encoding: chunked')) {
    state.part = 'chunk-size';
    return;
  }
  const at = fields.indexOf('\r\ncontent-length:');
  state.remaining = at < 0 ? 0 : Number.parseInt(fields.slice(at + 17, at + 33), 10);
  if (state.remaining === 0) endOfResponse(state);
  else state.part = 'body';
}

function endOfResponse(state: ParserState): void {
  state.part = 'head';
  // An interim response (RFC 9110, 15.2) is followed by the final one.
  if (state.status >= 200) state.onResponse(state.status, state.isLast);
}
