import { Router } from 'express';
import { AppError } from '../../shared/errors/app-error.js';
import { createExposition } from '../../shared/metrics/exposition.js';
import { mayReadMetrics } from '../../shared/metrics/metrics-access.js';
import type { Metrics } from '../../shared/metrics/metrics.js';

export interface MetricsRoutesDeps {
  readonly metrics: Metrics;
  /** The token of those who may read them; without one only programs on this host may. */
  readonly metricsToken: string | undefined;
}

/** Where the metrics are served. */
export const METRICS = '/metrics';

/**
 * The metrics of this process, for Prometheus. For everybody else the path does not exist, so it is not in the OpenAPI
 * document.
 */
export function metricsRoutes({ metrics, metricsToken }: MetricsRoutesDeps): Router {
  const router = Router();
  const expose = createExposition(metrics);
  router.all(METRICS, (req, res, next) => {
    if (!mayReadMetrics(req, metricsToken)) throw new AppError('not_found');
    const headers = { Allow: 'GET, HEAD' };
    if (req.method === 'OPTIONS') res.writeHead(204, headers).end();
    else if (req.method === 'GET' || req.method === 'HEAD') next();
    else throw new AppError('method_not_allowed', { headers });
  });
  router.get(METRICS, async (_req, res) => {
    const { contentType, text } = await expose();
    res.setHeader('Content-Type', contentType);
    res.send(text);
  });
  return router;
}
