import { canPin, measuredCpuBusyMs } from '../cpus.js';
import { percentileMs } from '../load/histogram.js';
import type { LoadJob, LoadResult } from '../load/load-job.js';
import type { Contender, Measurement, OpenMeasurement, Sample } from '../measurement.js';
import type { MeasuredServer, ServerSpec, World } from '../world.js';

/** A server, and the requests that it gets. */
export interface HttpContender {
  readonly name: string;
  readonly server: ServerSpec;
  /** Called once the server listens, shortly before it is measured: access tokens expire. */
  requests(world: World): Promise<readonly Buffer[]> | readonly Buffer[];
}

/** A measurement of HTTP servers under the same load. */
export interface HttpMeasurement extends Omit<Measurement, 'open'> {
  readonly connections: number;
  /** The status of every response. */
  readonly status: number;
  readonly contenders: readonly HttpContender[];
}

/** Requests of one kind are sent by so many connections at the same time, each with one in flight. */
export function httpMeasurement(declared: HttpMeasurement): Measurement {
  const { contenders, connections, status, ...rest } = declared;
  return {
    ...rest,
    async open(world): Promise<OpenMeasurement> {
      const opened: Contender[] = [];
      for (const contender of contenders) {
        const server = await world.server(contender.server);
        const requests = await contender.requests(world);
        opened.push({
          name: contender.name,
          sample: (durationMs) =>
            sampleHttp(world, server, {
              port: server.port,
              connections,
              durationMs,
              requests,
              expected: [status],
            }),
        });
      }
      return { contenders: opened };
    },
  };
}

/** Sends the requests, and says what they cost the server. */
export async function sampleHttp(
  { generator }: World,
  server: MeasuredServer,
  job: LoadJob,
): Promise<Sample> {
  const busyBefore = measuredCpuBusyMs();
  const cpuBefore = server.cpuMs();
  const [result] = await generator.run({ firstCount: freshCount(), ...job });
  const cpuMs = server.cpuMs() - cpuBefore;
  const foreignMs = measuredCpuBusyMs() - busyBefore - cpuMs;
  const count = countOf(result);
  return {
    ...rateAndLatency(result),
    cpuUs: (cpuMs * 1_000) / count,
    residentMb: server.residentMb(),
    ...(canPin() &&
      server.cpus === 'measured' && {
        foreignCpu: Math.max(0, foreignMs / 1_000 / result.seconds),
      }),
  };
}

/** Responses per second and their latencies. */
export const rateAndLatency = (result: LoadResult): Sample => ({
  perSecond: countOf(result) / result.seconds,
  p50Ms: percentileMs(result.latencies, 0.5),
  p99Ms: percentileMs(result.latencies, 0.99),
});

/** How many responses there were. */
const countOf = ({ statuses }: LoadResult): number =>
  Object.values(statuses).reduce((sum, count) => sum + count, 0);

let lastCount = 1_000_000_000;

/** Where numbers in requests start: no two of a run's loads use the same. */
export const freshCount = (): number => (lastCount += 5_000_000);
