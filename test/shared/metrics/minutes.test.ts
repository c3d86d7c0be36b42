import test from 'ava';
import { createMetrics } from '../../../shared/metrics/metrics.js';
import { createMinutes } from '../../../shared/metrics/minutes.js';
import { shareProcess } from '../../helpers/context.js';

shareProcess();

test('requests are kept by their status, without health checks and scrapes', async (t) => {
  const metrics = createMetrics('api');
  const answer = (http_route: string, http_response_status_code: string): void =>
    metrics.observe('http_server_request_duration_seconds', 0.01, {
      http_request_method: 'GET',
      http_route,
      http_response_status_code,
    });
  answer('/users', '200');
  answer('/users', '503');
  answer('unmatched', '404');
  answer('/health/ready', '503');
  answer('/health/live', '200');
  answer('/metrics', '200');
  const { sums } = await createMinutes(metrics).take();
  const counts = Object.fromEntries(
    [...sums].filter(([name]) => name.startsWith('http_requests_count')),
  );
  t.deepEqual(counts, {
    'http_requests_count{status="2xx"}': 1,
    'http_requests_count{status="4xx"}': 1,
    'http_requests_count{status="5xx"}': 1,
  });
});
