import test from 'ava';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { exchange } from '../helpers/raw-http.js';

const context = useSharedContext('api');
const api = useApi(context);

for (const [what, request, status, code] of [
  [
    'headers of 20 KB',
    `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    431,
    'headers_too_large',
  ],
  ['a broken request line', 'NONSENSE\r\n\r\n', 400, 'malformed_request'],
] as const) {
  test(`a request with ${what} is refused with the code ${code}, as listed`, async (t) => {
    const answer = await exchange(api.server.url, request);
    const problem = JSON.parse(answer.body) as Record<string, unknown>;
    t.is(answer.status, status);
    t.like(problem, { status, code, type: `urn:rollcall:problem:${code.replaceAll('_', '-')}` });
    t.is(problem['request_id'], answer.headers.get('x-request-id'));
  });
}
