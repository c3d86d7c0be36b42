import { Router } from 'express';
import type { Check } from '../../shared/health/checks.js';
import { readiness } from '../../shared/health/readiness.js';
import type { FrontRoute } from '../http/front.js';

export interface HealthRoutesDeps {
  readonly checks: Readonly<Record<string, Check>>;
  /** True once shutdown has started. */
  readonly isStopping: () => boolean;
}

/** Liveness and readiness. */
export function healthRoutes({ checks, isStopping }: HealthRoutesDeps): Router {
  const router = Router();

  /**
   * @openapi
   * /health/live:
   *   get:
   *     operationId: live
   *     tags: [Service]
   *     summary: Is the process alive?
   *     security: []
   *     responses:
   *       200: { description: It is., content: { application/json: { schema: { $ref: '#/components/schemas/Live' } } } }
   * /health/ready:
   *   get:
   *     operationId: ready
   *     tags: [Service]
   *     summary: Can the service do all of its work?
   *     description: >-
   *       Names what is wrong and how far it lags. The API registers and serves with Redis down, so a load balancer
   *       should ask `/health/live`.
   *     security: []
   *     responses:
   *       200: { description: It can., content: { application/json: { schema: { $ref: '#/components/schemas/Readiness' } } } }
   *       503: { description: Something is wrong., headers: { Retry-After: { $ref: '#/components/headers/RetryAfter' } }, content: { application/json: { schema: { $ref: '#/components/schemas/Readiness' } } } }
   */
  router.get('/health/live', (_req, res) => void res.json(ALIVE));

  router.get('/health/ready', async (_req, res) => {
    const report = await readiness(checks, isStopping);
    const isReady = report.status === 'ready';
    if (!isReady) res.setHeader('Retry-After', '5');
    res.status(isReady ? 200 : 503).json(report);
  });

  return router;
}

const LIVE = '/health/live';
const ALIVE = { status: 'alive' };
const ALIVE_ANSWER = { body: JSON.stringify(ALIVE) };

/** Liveness in front of Express: it is asked often, also when there is no time for anything. */
export const liveRoute: FrontRoute = ({ url }, context) => {
  if (url !== LIVE) return undefined;
  context.route = LIVE;
  return ALIVE_ANSWER;
};
