import type { HistogramSeries, Metrics } from '../../shared/metrics/metrics.js';

/** Counts and times answered requests. Called for each of them: it looks a series up by three numbers, and adds. */
export type RecordRequest = (
  method: string | undefined,
  /** The template of the route; `undefined` for a path that there is not. */
  route: string | undefined,
  status: number,
  seconds: number,
) => void;

/** OpenTelemetry's word for a method that is not a known one: a client may invent any. */
const OTHER_METHOD = '_OTHER';
const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', OTHER_METHOD] as const;
const methodIndexes = new Map<string | undefined, number>(METHODS.map((name, i) => [name, i]));
/** All paths that there are not, so that a client cannot make series. */
const UNMATCHED = 'unmatched';
/** What nginx logs for a client that did not wait for its answer; no answer of ours has it. */
export const ABORTED_STATUS = 499;
const MAX_STATUS = 1_000;

export function createRequestMetrics(metrics: Pick<Metrics, 'histogram'>): RecordRequest {
  const byRoute = new Map<string, Map<number, HistogramSeries>>();
  return (method, route = UNMATCHED, status, seconds) => {
    const index = methodIndexes.get(method) ?? METHODS.length - 1;
    let byKind = byRoute.get(route);
    if (!byKind) {
      byKind = new Map<number, HistogramSeries>();
      byRoute.set(route, byKind);
    }
    const kind = index * MAX_STATUS + status;
    let series = byKind.get(kind);
    if (!series) {
      series = metrics.histogram('http_server_request_duration_seconds', {
        http_request_method: METHODS[index] ?? OTHER_METHOD,
        http_route: route,
        http_response_status_code: String(status),
      });
      byKind.set(kind, series);
    }
    series.observe(seconds);
  };
}
