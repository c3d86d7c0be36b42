import type { IncomingMessage } from 'node:http';
import type { Router } from 'express';
import type { FrontRoute, JsonAnswer } from '../http/front.js';
import { NoQuery } from '../http/input/inputs.js';
import { parse } from '../http/input/validate.js';
import { contextOf } from '../http/request-context.js';
import type { AccessClaims, VerifiedClaims } from './access-tokens.js';
import type { Authenticator } from './authenticator.js';
import { unauthorized, type HasSession } from './require-admin.js';

/** A GET for an admin with a live session. */
export interface AuthenticatedRead<Input> {
  /** As Express writes it, with at most one parameter, a number at its end. */
  readonly path: string;
  readonly inputFrom: 'params' | 'query';
  /** @throws {AppError} for invalid input. */
  readonly parse: (raw: unknown, claims: AccessClaims) => Input;
  /**
   * Reads the answer together with the session; resolves to `undefined` when that has ended.
   * @throws {AppError}
   */
  readonly answer: (
    claims: AccessClaims,
    input: Input,
    req: IncomingMessage,
  ) => Promise<JsonAnswer | undefined>;
}

/** Serves reads in both places by one declaration: in front of Express, and in Express where a request is unusual. */
export interface AuthenticatedReads {
  readonly front: readonly FrontRoute[];
  get<Input>(router: Router, read: AuthenticatedRead<Input>): void;
}

export interface AuthenticatedReadsDeps {
  readonly authenticator: Authenticator;
  readonly hasSession: HasSession;
}

export function createAuthenticatedReads(deps: AuthenticatedReadsDeps): AuthenticatedReads {
  const { authenticator } = deps;
  const front: FrontRoute[] = [];
  return {
    front,
    get(router, read) {
      router.get(read.path, async (req, res) => {
        const claims = await authenticator.claimsOf(req, res);
        if (!claims) throw unauthorized(req);
        const { params, query } = req;
        const given = read.inputFrom === 'params' ? { raw: params, query } : { raw: query };
        const { body, link } = await answer(deps, read, claims, given, req);
        if (link !== undefined) res.setHeader('Link', link);
        res.type('json').send(body);
      });
      const match = createMatch(read.path, read.inputFrom);
      const template = read.path.replace(/:(\w+)/, '{$1}');
      front.push((req, context) => {
        const raw = match(req.url ?? '');
        if (!raw) return undefined;
        context.route = template;
        const claims = authenticator.knownClaimsOf(req);
        return claims && answer(deps, read, claims, { raw }, req);
      });
    },
  };
}

interface Given {
  readonly raw: unknown;
  /** Of a route whose input is not in the query. */
  readonly query?: object;
}

async function answer<Input>(
  { hasSession }: AuthenticatedReadsDeps,
  read: AuthenticatedRead<Input>,
  claims: VerifiedClaims,
  { raw, query }: Given,
  req: IncomingMessage,
): Promise<JsonAnswer> {
  const input = await parseInput();
  const found = await read.answer(claims, input, req);
  if (!found) throw unauthorized(req);
  contextOf(req).adminId = claims.adminId;
  return found;

  async function parseInput(): Promise<Input> {
    try {
      if (query !== undefined) parse(NoQuery, query);
      return read.parse(raw, claims);
    } catch (error) {
      // Without a live session nobody learns more than that.
      if (!(await hasSession(claims))) throw unauthorized(req);
      contextOf(req).adminId = claims.adminId;
      throw error;
    }
  }
}

type Match = (url: string) => Readonly<Record<string, string>> | undefined;

/** Reads the input from a URL that needs no decoding; `undefined` for every other URL. */
function createMatch(path: string, inputFrom: 'params' | 'query'): Match {
  const [fixed = '', parameter] = path.split(':');
  if (parameter !== undefined)
    return (url) => {
      if (!url.startsWith(fixed)) return undefined;
      const value = url.slice(fixed.length);
      return /^\d{1,10}$/.test(value) ? { [parameter]: value } : undefined;
    };
  return (url) => {
    if (!url.startsWith(path)) return undefined;
    if (url.length === path.length) return {};
    return inputFrom === 'query' && url[path.length] === '?'
      ? plainQuery(url.slice(path.length + 1))
      : undefined;
  };
}

function plainQuery(text: string): Readonly<Record<string, string>> | undefined {
  if (!/^[\w.~=&-]+$/.test(text)) return undefined;
  const pairs = text.split('&').map((pair) => pair.split('='));
  const isPlain = pairs.every((pair) => pair.length === 2 && pair[0] !== '');
  const names = new Set(pairs.map(([name]) => name));
  if (!isPlain || names.size < pairs.length || names.has('__proto__')) return undefined;
  return Object.fromEntries(pairs) as Record<string, string>;
}
