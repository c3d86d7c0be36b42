import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { product } from '../config/version.js';
import type { Metrics } from './metrics.js';

const LAG_RESOLUTION_MS = 20;
const LAG_WINDOW_MS = 60_000;

/**
 * Registers what is to be known of any process of Node.js. Returns how to end the measurement.
 * @param environment `APP_ENV`.
 */
export function collectProcess(
  metrics: Metrics,
  { service, environment }: { readonly service: string; readonly environment: string },
): () => void {
  metrics.collect(['rollcall_build_info', 'process_start_time_seconds'], () => ({
    rollcall_build_info: [
      {
        labels: { version: product.version, service, environment, node: process.versions.node },
        value: 1,
      },
    ],
    process_start_time_seconds: [{ value: performance.timeOrigin / 1_000 }],
  }));
  metrics.collect(
    ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'nodejs_heap_size_used_bytes'],
    () => {
      const { user, system } = process.cpuUsage();
      return {
        process_cpu_seconds_total: [{ value: (user + system) / 1e6 }],
        process_resident_memory_bytes: [{ value: process.memoryUsage.rss() }],
        nodejs_heap_size_used_bytes: [{ value: process.memoryUsage().heapUsed }],
      };
    },
  );
  const lag = measureLag();
  metrics.collect(['nodejs_eventloop_lag_p99_seconds', 'nodejs_eventloop_lag_max_seconds'], () => {
    const { p99, max } = lag.read();
    return {
      nodejs_eventloop_lag_p99_seconds: [{ value: p99 }],
      nodejs_eventloop_lag_max_seconds: [{ value: max }],
    };
  });
  return lag.stop;
}

interface Lag {
  readonly p99: number;
  readonly max: number;
}

/**
 * Measures the delay of the event loop, in seconds, in windows of a minute: whoever reads it gets the worse of this window
 * and the one before, however many there are who read.
 */
function measureLag(): { read(): Lag; stop(): void } {
  const histogram = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  histogram.enable();
  let before: Lag = { p99: 0, max: 0 };
  let since = performance.now();
  const seconds = (nanoseconds: number): number =>
    Math.max(0, nanoseconds / 1e9 - LAG_RESOLUTION_MS / 1_000);
  return {
    read() {
      const now: Lag =
        histogram.count > 0
          ? { p99: seconds(histogram.percentile(99)), max: seconds(histogram.max) }
          : { p99: 0, max: 0 };
      const worse = { p99: Math.max(before.p99, now.p99), max: Math.max(before.max, now.max) };
      if (performance.now() - since >= LAG_WINDOW_MS) {
        before = now;
        since = performance.now();
        histogram.reset();
      }
      return worse;
    },
    stop: () => void histogram.disable(),
  };
}
