import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Knowledge } from './accounts.js';

/** The routes whose answers must not tell whether an address is known. */
export type RouteName = 'register' | 'resend' | 'forgot' | 'login';

/** One route and one kind of known address, to be told from unknown ones. */
export interface Trial {
  readonly route: RouteName;
  readonly known: Exclude<Knowledge, 'unknown'>;
}

/** How long the answers took, in milliseconds. */
export interface Samples {
  readonly known: readonly number[];
  readonly unknown: readonly number[];
}

interface Route {
  readonly path: string;
  readonly status: number;
  body(email: string): object;
}

/** Every comparison. */
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

/** What is still done after an answer shall not slow the next one: that is of the other kind half of the time. */
const PAUSE_MS = 15;
const ANSWER_WITHIN_MS = 30_000;

/** Addresses that are used once each. */
export interface Addresses {
  readonly known: readonly string[];
  readonly unknown: readonly string[];
}

/**
 * Asks for one known and one unknown address after the other, each pair in random order, over one connection.
 * The first `warmUp` pairs are not counted.
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
        const tookMs = await timed(agent, api, routes[route], email);
        if (index >= warmUp) samples[kind].push(tookMs);
        await delay(PAUSE_MS);
      }
    }
    return samples;
  } finally {
    agent.destroy();
  }
}

async function timed(agent: Agent, api: string, route: Route, email: string): Promise<number> {
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
