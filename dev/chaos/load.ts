import { setTimeout as delay } from 'node:timers/promises';

/** Clients that register admins, each one after another, until stopped. */
export interface Load {
  /** Addresses whose registration was acknowledged with 202. */
  readonly acknowledged: ReadonlySet<string>;
  /** Calls without an answer or with a 5xx: nothing was promised. */
  readonly unanswered: () => number;
  stop(): Promise<void>;
}

export interface LoadOptions {
  readonly api: string;
  readonly clients: number;
  /** After each call of a client. */
  readonly pauseMs: number;
}

const CALL_TIMEOUT_MS = 10_000;

/** Starts the clients. Each registration uses a new address. */
export function startLoad({ api, clients, pauseMs }: LoadOptions): Load {
  const acknowledged = new Set<string>();
  const stopping = new AbortController();
  let count = 0;
  let unanswered = 0;

  const register = async (): Promise<void> => {
    const name = `person-${++count}`;
    const email = `${name}@chaos.test`;
    try {
      const answer = await fetch(`${api}/auth/register`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ email, name, password: `a chaos run signs up ${name}` }),
        signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
      });
      await answer.arrayBuffer();
      if (answer.status === 202) acknowledged.add(email);
      else unanswered += 1;
    } catch {
      unanswered += 1;
    }
  };
  const work = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await register();
      await delay(pauseMs);
    }
  };
  const working = Promise.all(Array.from({ length: clients }, work));

  return {
    acknowledged,
    unanswered: () => unanswered,
    async stop() {
      stopping.abort();
      await working;
    },
  };
}
