/** A response of the deployment under test. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as a JSON object; empty if it is not one. */
  readonly json: Readonly<Record<string, unknown>>;
}

/** A request. */
export interface Call {
  readonly method?: string;
  readonly body?: object;
  readonly token?: string | undefined;
  readonly accept?: string;
}

/** An HTTP client that rejects every response without the expected status. */
export interface Client {
  /** Rejects if nothing answers; any response will do. */
  reach(): Promise<void>;
  /** Rejects, with the actual response, unless it has the status. */
  expect(status: number, path: string, call?: Call): Promise<Answer>;
  /** Also rejects unless the response is a problem document (RFC 9457) with this `code`. */
  expectProblem(status: number, code: string, path: string, call?: Call): Promise<Answer>;
}

/** A client for the deployment at `baseUrl`. */
export function createClient(baseUrl: string): Client {
  async function send(path: string, call: Call): Promise<Answer> {
    const response = await fetch(new URL(path, baseUrl), {
      method: call.method ?? 'GET',
      redirect: 'manual',
      signal: AbortSignal.timeout(15_000),
      headers: {
        accept: call.accept ?? 'application/json',
        ...(call.token !== undefined && { authorization: `Bearer ${call.token}` }),
        ...(call.body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: parseObject(text) };
  }

  async function reach(): Promise<void> {
    await send('/health/live', {});
  }

  async function expect(status: number, path: string, call: Call = {}): Promise<Answer> {
    const answer = await send(path, call);
    if (answer.status === status) return answer;
    const what = `${call.method ?? 'GET'} ${path}`;
    throw new Error(
      `${what} was answered with ${answer.status} instead of ${status}: ${answer.text.slice(0, 300)}`,
    );
  }

  async function expectProblem(
    status: number,
    code: string,
    path: string,
    call: Call = {},
  ): Promise<Answer> {
    const answer = await expect(status, path, call);
    const type = answer.headers.get('content-type') ?? '';
    check(type.startsWith('application/problem+json'), `the answer is ${type}, not a problem`);
    check(answer.json['code'] === code, `its code is ${String(answer.json['code'])}, not ${code}`);
    return answer;
  }

  return { reach, expect, expectProblem };
}

/** @throws an error with `message` unless the condition holds. */
export function check(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : {};
  } catch {
    return {};
  }
}
