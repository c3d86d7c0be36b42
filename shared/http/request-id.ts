import { randomUUID } from 'node:crypto';

const REQUEST_ID = /^[A-Za-z0-9_-]{8,64}$/;

/** The name of a request: the one in its `X-Request-Id`, if it can be one, or else a new one. */
export const requestIdFrom = (given: string | string[] | undefined): string =>
  typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
