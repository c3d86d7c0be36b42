import { bearer, requestBytes } from '../load/requests.js';
import { PRODUCT, type Measurement } from '../measurement.js';
import type { World } from '../world.js';
import { httpMeasurement, type HttpContender } from './http-measurement.js';
import { api } from './servers.js';

const BETTER_AUTH = 'better-auth get-session';
const CACHED = 'better-auth, cookie cache';

/** Who am I: the check that a client makes most often. */
export const me: Measurement = httpMeasurement({
  name: 'me',
  title: 'GET /auth/me against get-session of better-auth 1.7.25 on express + pg',
  settings: 'none; better-auth with its rate limit and telemetry off',
  connections: 32,
  status: 200,
  goals: [
    { figure: 'perSecond', of: PRODUCT, against: CACHED, atLeast: 8 },
    { figure: 'perSecond', of: PRODUCT, against: BETTER_AUTH, atLeast: 8 },
    { figure: 'perSecond', of: PRODUCT, against: CACHED, atLeast: 12, isStretch: true },
  ],
  contenders: [
    {
      name: PRODUCT,
      server: api,
      requests: ({ data }) =>
        data.adminIds.map((id) =>
          requestBytes({ path: '/auth/me', headers: bearer(data.tokenOf(id)) }),
        ),
    },
    betterAuth(BETTER_AUTH, 'better-auth', false),
    betterAuth(CACHED, 'better-auth-cached', true),
  ],
});

function betterAuth(name: string, server: string, isCached: boolean): HttpContender {
  return {
    name,
    server: {
      name: server,
      program: {
        baseline: 'better-auth',
        settings: { isCached, schema: server.replaceAll('-', '_') },
      },
    },
    requests: cookieRequests,
  };

  async function cookieRequests(world: World): Promise<Buffer[]> {
    const { port } = await world.server({ name: server, program: { baseline: 'better-auth' } });
    const response = await fetch(`http://127.0.0.1:${port}/cookies`);
    const cookies = (await response.json()) as string[];
    return cookies.map((cookie) =>
      requestBytes({ path: '/api/auth/get-session', headers: { cookie } }),
    );
  }
}
