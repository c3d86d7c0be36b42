import { ask, type HttpAnswer } from './http.js';

/** A browser at the console: it keeps the cookie, and sends what browsers send. */
export interface ConsoleBrowser {
  /** The cookie as a request carries it; empty without a session. */
  cookie: string;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<HttpAnswer>;
  ask(method: string, path: string): Promise<HttpAnswer>;
  /** Sends a form as the page would: with the session's token, from the same origin. */
  post(
    path: string,
    fields?: Readonly<Record<string, string>>,
    headers?: Readonly<Record<string, string | undefined>>,
  ): Promise<HttpAnswer>;
  logIn(account: { readonly email: string; readonly password: string }): Promise<HttpAnswer>;
  /** The token of the session's forms. */
  formToken(): Promise<string>;
}

const ANSWER_WITHIN_MS = 60_000;
const HTML = 'text/html,application/xhtml+xml,*/*;q=0.8';

/** Opens one at the server with this URL, without a session. */
export function openBrowser(url: string): ConsoleBrowser {
  const send = async (
    method: string,
    path: string,
    headers: Readonly<Record<string, string | undefined>>,
    body?: string,
  ): Promise<HttpAnswer> => {
    const all = { accept: HTML, cookie: browser.cookie, ...headers };
    const answer = await ask(`${url}${path}`, {
      method,
      headers: Object.fromEntries(
        Object.entries(all).filter((pair): pair is [string, string] => Boolean(pair[1])),
      ),
      body,
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    const [pair] = (answer.headers.get('set-cookie') ?? '').split(';');
    if (pair) browser.cookie = pair.endsWith('=') ? '' : pair;
    return answer;
  };
  const postForm: ConsoleBrowser['post'] = (path, fields = {}, headers = {}) =>
    send(
      'POST',
      path,
      { origin: url, 'content-type': 'application/x-www-form-urlencoded', ...headers },
      new URLSearchParams(fields).toString(),
    );
  const browser: ConsoleBrowser = {
    cookie: '',
    get: (path, headers = {}) => send('GET', path, headers),
    ask: (method, path) => send(method, path, {}),
    async post(path, fields = {}, headers = {}) {
      return postForm(path, { csrf: await browser.formToken(), ...fields }, headers);
    },
    logIn: ({ email, password }) => postForm('/ops/login', { email, password }),
    async formToken() {
      const { text } = await browser.get('/ops/session', { accept: 'application/json' });
      return (JSON.parse(text) as { csrf: string }).csrf;
    },
  };
  return browser;
}
