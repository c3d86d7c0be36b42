import test from 'ava';
import { createResponseParser } from '../../../bench/speed/load/response-parser.js';
import { shareProcess } from '../../helpers/context.js';

shareProcess();

interface Seen {
  readonly status: number;
  readonly isLast: boolean;
}

/** Feeds the text in pieces of this size, in a buffer that is reused. */
function parse(text: string, size: number): Seen[] {
  const seen: Seen[] = [];
  const parser = createResponseParser((status, isLast) => seen.push({ status, isLast }));
  const buffer = Buffer.alloc(size);
  for (let at = 0; at < text.length; at += size)
    parser.feed(buffer, buffer.write(text.slice(at, at + size), 'latin1'));
  return seen;
}

const withLength = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
const chunked =
  'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nTrailer: a\r\n\r\n';
const empty = 'HTTP/1.1 204 No Content\r\nX-Id: 1\r\n\r\n';
const closing = 'HTTP/1.1 503 Overloaded\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}';
const interim = 'HTTP/1.1 100 Continue\r\n\r\n';

test('responses end where their length or last chunk says, however they are cut into pieces', (t) => {
  const text = withLength + chunked + empty + interim + withLength + closing;
  const expected = [200, 201, 204, 200, 503].map((status) => ({ status, isLast: status === 503 }));
  for (const size of [1, 2, 3, 7, 64, 10_000]) t.deepEqual(parse(text, size), expected, `${size}`);
});

test('an incomplete response is none', (t) => {
  for (const text of [withLength, chunked, empty]) t.deepEqual(parse(text.slice(0, -1), 4), []);
});

test('what is no response is refused', (t) => {
  t.throws(() => parse('SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n', 8), { message: /not an HTTP response/ });
  t.throws(() => parse('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 8), {
    message: /no size/,
  });
  t.throws(() => parse('x'.repeat(70_000), 4_096), { message: /too long/ });
});
