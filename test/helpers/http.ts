import { Agent, request } from 'node:http';

/** A request with all that it carries. */
export interface HttpRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | undefined;
  readonly signal: AbortSignal;
}

/** An answer, read to its end. Redirections are answers too. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Less than any server of ours keeps an idle connection. */
const IDLE_MS = 4_000;
const agent = new Agent({ keepAlive: true, timeout: IDLE_MS });

/** Asks over HTTP like `fetch`, at a third of its CPU time. @throws like it: what aborted, or the connection's error. */
export function ask(url: string | URL, options: HttpRequest): Promise<HttpAnswer> {
  const { method = 'GET', headers = {}, body, signal } = options;
  const { hostname, port, pathname, search } = new URL(url);
  const hasType = Object.keys(headers).some((name) => name.toLowerCase() === 'content-type');
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(signal.aborted ? (signal.reason as Error) : error);
    const sent = request({
      agent,
      method,
      hostname,
      port,
      path: `${pathname}${search}`,
      signal,
      headers: {
        accept: '*/*',
        'user-agent': 'node',
        ...(typeof body === 'string' && !hasType && { 'content-type': 'text/plain;charset=UTF-8' }),
        ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
        ...headers,
      },
    });
    sent.on('error', fail);
    sent.on('response', (answer) => {
      const received = new Headers();
      for (let i = 0; i < answer.rawHeaders.length; i += 2)
        received.append(answer.rawHeaders[i] ?? '', answer.rawHeaders[i + 1] ?? '');
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (text += chunk));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: received, text }));
      answer.on('error', fail);
    });
    sent.end(body);
  });
}
