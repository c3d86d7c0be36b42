import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { AddressState } from './accounts.js';

/** The routes whose responses must not reveal whether an address is known. */
export type RouteName = 'register' | 'resend' | 'forgot' | 'login';

/** A comparison of one kind of known address with unknown ones on one route. */
export interface Trial {
  readonly route: RouteName;
  readonly known: Exclude<AddressState, 'unknown'>;
}

/** Response times in milliseconds. */
export interface Samples {
  readonly known: readonly number[];
  readonly unknown: readonly number[];
}

interface Route {
  readonly path: string;
  readonly status: number;
  body(email: string): object;
}

export const trials: readonly Trial[] = [
  { route: 'register', known: 'confirmed' },
  { route: 'register', known: 'pending' },
  { route: 'resend', known: 'confirmed' },
  { route: 'resend', known: 'pending' },
  { route: 'forgot', known: 'confirmed' },
  { route: 'forgot', known: 'pending' },
  { route: 'login', known: 'confirmed' },
];

const PASSWORD = 'violet kettle under nine bridges';
const routes: Readonly<Record<RouteName, Route>> = {
  register: {
    path: '/auth/register',
    status: 202,
    body: (email) => ({ email, name: `Timing ${email.slice(0, 16)}`, password: PASSWORD }),
  },
  resend: { path: '/auth/confirm/resend', status: 202, body: (email) => ({ email }) },
  forgot: { path: '/auth/password/forgot', status: 202, body: (email) => ({ email }) },
  login: { path: '/auth/login', status: 401, body: (email) => ({ email, password: PASSWORD }) },
};

/** Work that continues after a response must not slow the next request, which is of the other kind half of the time. */
const PAUSE_MS = 15;
const ANSWER_WITHIN_MS = 30_000;

/** Addresses, each used once. */
export interface Addresses {
  readonly known: readonly string[];
  readonly unknown: readonly string[];
}

/**
 * Sends requests for one known and one unknown address, each pair in random order, over one connection. The first
 * `warmUp` pairs are not counted.
 */
export async function measure(
  api: string,
  { route }: Trial,
  addresses: Addresses,
  { warmUp, signal }: { warmUp: number; signal: AbortSignal },
): Promise<Samples> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const samples = { known: [] as number[], unknown: [] as number[] };
  try {
    for (const [index, known] of addresses.known.entries()) {
      const pair = [
        ['known', known],
        ['unknown', addresses.unknown[index] ?? ''],
      ] as const;
      for (const [kind, email] of randomInt(2) === 0 ? pair : pair.toReversed()) {
        signal.throwIfAborted();
        const tookMs = await responseTime(agent, api, routes[route], email);
        if (index >= warmUp) samples[kind].push(tookMs);
        await delay(PAUSE_MS);
      }
    }
    return samples;
  } finally {
    agent.destroy();
  }
}

async function responseTime(
  agent: Agent,
  api: string,
  route: Route,
  email: string,
): Promise<number> {
  const body = JSON.stringify(route.body(email));
  const headers = { 'content-type': 'application/json', 'content-length': body.length };
  const startedAt = performance.now();
  const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
  const asked = request(new URL(route.path, api), { agent, method: 'POST', headers, signal });
  asked.end(body);
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  answer.resume();
  await once(answer, 'end');
  const tookMs = performance.now() - startedAt;
  if (answer.statusCode !== route.status)
    throw new Error(`${route.path} answered ${answer.statusCode}, not ${route.status}`);
  return tookMs;
}
