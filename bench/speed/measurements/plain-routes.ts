import { requestBytes } from '../load/requests.js';
import { PRODUCT, type Measurement } from '../measurement.js';
import { httpMeasurement } from './http-measurement.js';
import { api, bareExpress } from './servers.js';

const CONNECTIONS = 32;
const BARE_EXPRESS = 'bare express';

/** A liveness probe. */
export const live: Measurement = plainRoute('live', 'GET /health/live', '/health/live', 200);

/** A path that does not exist. */
export const notFound: Measurement = plainRoute('404', 'a 404', '/no/such/path', 404);

function plainRoute(name: string, title: string, path: string, status: number): Measurement {
  const requests = (): Buffer[] => [requestBytes({ path })];
  return httpMeasurement({
    name,
    title,
    settings: 'none',
    connections: CONNECTIONS,
    status,
    goals: [{ figure: 'perSecond', of: PRODUCT, against: BARE_EXPRESS, atLeast: 0.6 }],
    contenders: [
      { name: PRODUCT, server: api, requests },
      { name: BARE_EXPRESS, server: bareExpress, requests },
    ],
  });
}
