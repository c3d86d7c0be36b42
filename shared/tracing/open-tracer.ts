import type { ApiConfig } from '../config/config.js';
import type { Logger } from '../logging/logger.js';
import type { Tracer } from './tracer.js';

/** Loads the exporter only if the configuration names a collector. */
export async function openTracer(
  { tracesUrl, logging }: Pick<ApiConfig, 'tracesUrl' | 'logging'>,
  service: string,
  log: Logger,
): Promise<Tracer | undefined> {
  if (tracesUrl === undefined) return undefined;
  const { openOtlpTracer } = await import('./otlp-tracer.js');
  return openOtlpTracer(tracesUrl, { service, environment: logging.environment, log });
}
