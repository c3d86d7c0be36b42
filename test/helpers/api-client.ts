import { loadContract, type Contract } from './contract.js';
import { eventually } from './eventually.js';
import { ask } from './http.js';

/** What a request carries besides its path. */
export interface RequestOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is; the content type is up to `headers`. */
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal;
}

/** An answer, read to its end. */
export interface Answer<T = unknown> {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed if it is JSON, else the text. */
  readonly body: T;
  readonly text: string;
  readonly requestId: string;
}

/** Asks the API, and holds every answer against the committed OpenAPI document: the whole suite is its contract test. */
export interface ApiClient {
  readonly baseUrl: string;
  get<T = unknown>(path: string, options?: RequestOptions): Promise<Answer<T>>;
  post<T = unknown>(path: string, json?: unknown, options?: RequestOptions): Promise<Answer<T>>;
  put<T = unknown>(path: string, json?: unknown, options?: RequestOptions): Promise<Answer<T>>;
  delete<T = unknown>(path: string, options?: RequestOptions): Promise<Answer<T>>;
  request<T = unknown>(method: string, path: string, options?: RequestOptions): Promise<Answer<T>>;
  /** Like `request`, but whatever comes back is right. */
  raw(method: string, path: string, options?: RequestOptions): Promise<Answer>;
  /** A client that sends this access token. */
  as(accessToken: string): ApiClient;
}

const ANSWER_WITHIN_MS = 60_000;

/** A client of the API at this URL. */
export function createClient(
  baseUrl: string,
  headers: Readonly<Record<string, string>> = {},
): ApiClient {
  const raw: ApiClient['raw'] = (method, path, options = {}) =>
    answerTo(baseUrl, method, path, { ...options, headers: { ...headers, ...options.headers } });
  const request = async <T>(
    method: string,
    path: string,
    options: RequestOptions = {},
  ): Promise<Answer<T>> => {
    const answer = await raw(method, path, options);
    contract().check({ method, path, ...answer });
    return answer as Answer<T>;
  };
  return {
    baseUrl,
    request,
    raw,
    get: (path, options) => request('GET', path, options),
    post: (path, json, options) => request('POST', path, { ...options, json }),
    put: (path, json, options) => request('PUT', path, { ...options, json }),
    delete: (path, options) => request('DELETE', path, options),
    as: (accessToken) =>
      createClient(baseUrl, { ...headers, authorization: `Bearer ${accessToken}` }),
  };
}

/** What is answered once there is room for it: a machine that is too slow for so many at once says so by 503. */
export const servedAtLast = <T>(send: () => Promise<Answer<T>>): Promise<Answer<T>> =>
  eventually(
    async () => {
      const answer = await send();
      return answer.status !== 503 && answer;
    },
    { of: 'an answer other than 503', withinMs: 200_000 },
  );

async function answerTo(
  baseUrl: string,
  method: string,
  path: string,
  options: RequestOptions,
): Promise<Answer> {
  const { json, body, headers = {}, signal } = options;
  const answer = await ask(`${baseUrl}${path}`, {
    method,
    headers: { ...(json !== undefined && { 'content-type': 'application/json' }), ...headers },
    body: json === undefined ? body : JSON.stringify(json),
    signal: signal ?? AbortSignal.timeout(ANSWER_WITHIN_MS),
  });
  const { text } = answer;
  const isJson = /^application\/(.+\+)?json\b/.test(answer.headers.get('content-type') ?? '');
  return {
    ...answer,
    body: isJson && text !== '' ? (JSON.parse(text) as unknown) : text,
    requestId: answer.headers.get('x-request-id') ?? '',
  };
}

let loaded: Contract | undefined;
const contract = (): Contract => (loaded ??= loadContract());
