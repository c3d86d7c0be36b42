import { bearer, requestBytes, type RequestParts } from '../load/requests.js';
import { PAGE_ROWS } from '../dataset.js';
import { COUNTER } from '../load/load-job.js';
import { PRODUCT, type Measurement } from '../measurement.js';
import type { World } from '../world.js';
import { httpMeasurement } from './http-measurement.js';
import { api, expressPg, nodePg, usualStack } from './servers.js';

const CONNECTIONS = 32;

const NODE_PG = 'node:http + pg, no auth';
const EXPRESS_PG = 'express + pg, no auth';
const USUAL = 'express + sequelize + passport-jwt';

/** One user. */
export const read: Measurement = httpMeasurement({
  name: 'read',
  title: 'GET /users/{id}, JWT and live session',
  settings: 'none; tokens of 1,000 admins in turn',
  connections: CONNECTIONS,
  status: 200,
  goals: [
    { figure: 'perSecond', of: PRODUCT, against: EXPRESS_PG, atLeast: 1 },
    { figure: 'perSecond', of: PRODUCT, against: USUAL, atLeast: 7 },
    { figure: 'perSecond', of: PRODUCT, against: NODE_PG, atLeast: 1, isStretch: true },
  ],
  contenders: [
    {
      name: PRODUCT,
      server: api,
      requests: (world) => readRequests(world),
    },
    {
      name: NODE_PG,
      server: nodePg,
      requests: (world) => readRequests(world, 'none'),
    },
    {
      name: EXPRESS_PG,
      server: expressPg,
      requests: (world) => readRequests(world, 'none'),
    },
    {
      name: USUAL,
      server: usualStack,
      requests: (world) => readRequests(world, 'usual'),
    },
  ],
});

/** A page of 50, from a random place. */
export const list: Measurement = httpMeasurement({
  name: 'list',
  title: 'GET /users, page of 50',
  settings: 'none; tokens of 1,000 admins in turn',
  connections: CONNECTIONS,
  status: 200,
  goals: [
    { figure: 'perSecond', of: PRODUCT, against: NODE_PG, atLeast: 1 },
    { figure: 'perSecond', of: PRODUCT, against: USUAL, atLeast: 5 },
    { figure: 'perSecond', of: PRODUCT, against: NODE_PG, atLeast: 1.2, isStretch: true },
  ],
  contenders: [
    {
      name: PRODUCT,
      server: api,
      requests: listRequests,
    },
    {
      name: NODE_PG,
      server: nodePg,
      requests: (world) => pageRequests(world, 'none'),
    },
    {
      name: EXPRESS_PG,
      server: expressPg,
      requests: (world) => pageRequests(world, 'none'),
    },
    {
      name: USUAL,
      server: usualStack,
      requests: (world) => pageRequests(world, 'usual'),
    },
  ],
});

const PAGE_1 = `${PRODUCT}, page 1`;
const FAR_PAGE = `${PRODUCT}, last page`;

/** A page at the end of a long listing. */
export const page: Measurement = httpMeasurement({
  name: 'page',
  title:
    'GET /users, page 20,000 of 1,000,000 rows against page 1 (short mode: page 2,000 of 100,000)',
  settings: 'none; tokens of one admin',
  connections: 8,
  status: 200,
  goals: [{ figure: 'perSecond', of: FAR_PAGE, against: PAGE_1, atLeast: 0.95 }],
  contenders: [
    { name: FAR_PAGE, server: api, requests: async (world) => [await pageOf(world, 'last')] },
    { name: PAGE_1, server: api, requests: async (world) => [await pageOf(world, 'first')] },
  ],
});

/** A new user. */
export const create: Measurement = httpMeasurement({
  name: 'create',
  title: 'POST /users, by many admins',
  settings: 'none; 1,000 admins in turn, since each may write 600 times a minute',
  connections: CONNECTIONS,
  status: 201,
  goals: [{ figure: 'perSecond', of: PRODUCT, against: EXPRESS_PG, atLeast: 0.7 }],
  contenders: [
    {
      name: PRODUCT,
      server: api,
      requests: (world) => createRequests(world),
    },
    {
      name: EXPRESS_PG,
      server: expressPg,
      requests: (world) => createRequests(world, 'none'),
    },
  ],
});

/** Reads of single users. */
export function readRequests(world: World, auth: Auth = 'session'): Buffer[] {
  return requestsFor(world, world.data.users, readOne, auth);
}

/** Pages of 50 from random places. */
export function listRequests(world: World): Buffer[] {
  return requestsFor(world, world.data.pageStarts, pageBehindCursor, 'session');
}

/** The same pages, for the baselines. */
function pageRequests(world: World, auth: Auth): Buffer[] {
  return requestsFor(world, world.data.pageStarts, pageBehind, auth);
}

/** New users of many admins. */
export function createRequests(world: World, auth: Auth = 'session'): Buffer[] {
  return requestsFor(world, world.data.users, createOne, auth);
}

interface OwnedUser {
  readonly id: number;
  readonly adminId: number;
}

const readOne = (_world: World, { id }: OwnedUser): RequestParts => ({ path: `/users/${id}` });

/** Baselines have neither tokens nor cursors: they are told whose users are wanted, and after which. */
const pageBehind = (_world: World, { id, adminId }: OwnedUser): RequestParts => ({
  path: `/users?admin=${adminId}&after=${id}&limit=${PAGE_ROWS}`,
});

const pageBehindCursor = ({ data }: World, { id, adminId }: OwnedUser): RequestParts => ({
  path: `/users?limit=${PAGE_ROWS}&cursor=${data.cursorAt(adminId, id)}`,
});

const createOne = (_world: World, { adminId }: OwnedUser): RequestParts => ({
  method: 'POST',
  path: '/users',
  headers: { 'x-admin': String(adminId) },
  body: { email: `new${COUNTER}@bench.example`, name: 'Someone New' },
});

type ToRequest = (world: World, user: OwnedUser) => RequestParts;

/** Who authenticates how. */
const AUTH = {
  none: () => ({}),
  session: ({ data }: World, adminId: number) => bearer(data.tokenOf(adminId)),
  usual: ({ data }: World, adminId: number) => bearer(data.usualTokenOf(adminId)),
} as const;

type Auth = keyof typeof AUTH;

/** One request for each of the users. */
function requestsFor(
  world: World,
  users: readonly OwnedUser[],
  toRequest: ToRequest,
  auth: Auth,
): Buffer[] {
  const headersOf = new Map(world.data.adminIds.map((id) => [id, AUTH[auth](world, id)]));
  return users.map((user) => {
    const parts = toRequest(world, user);
    const headers = { ...parts.headers, ...headersOf.get(user.adminId) };
    return requestBytes({ ...parts, headers });
  });
}

async function pageOf({ data }: World, which: 'first' | 'last'): Promise<Buffer> {
  const pages = data.size.listing / PAGE_ROWS;
  const after = which === 'first' ? 0 : await data.lastOnPage(pages - 1, PAGE_ROWS);
  const headers = bearer(data.tokenOf(data.lister));
  const path = `/users?limit=${PAGE_ROWS}&cursor=${data.cursorAt(data.lister, after)}`;
  return requestBytes({ path, headers });
}
