import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { CloudWatchClient, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import type { WorkerConfig } from '../../shared/config/config.js';
import type { CloudWatch } from './cloudwatch.port.js';

/** The namespace, the environment, the region and the credentials. */
type CloudWatchConfig = NonNullable<WorkerConfig['cloudWatch']>;

const CONNECT_TIMEOUT_MS = 2_000;
const REQUEST_TIMEOUT_MS = 5_000;
const MAX_ATTEMPTS_PER_CALL = 3;

/**
 * Publishes to Amazon CloudWatch, each value with the one dimension `Environment`. Without credentials the SDK's default chain
 * is used.
 */
export function openCloudWatchClient({
  namespace,
  environment,
  region,
  credentials,
}: CloudWatchConfig): CloudWatch {
  const client = new CloudWatchClient({
    region,
    ...(credentials && { credentials }),
    maxAttempts: MAX_ATTEMPTS_PER_CALL,
    // A few values are smaller than what compressing costs.
    disableRequestCompression: true,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
      // Once a minute: a connection would be closed before it is used again.
      httpAgent: new HttpAgent({ keepAlive: false }),
      httpsAgent: new HttpsAgent({ keepAlive: false }),
    },
  });
  const dimensions = [{ Name: 'Environment', Value: environment }];
  return {
    async put(values, signal) {
      const data = values.map(({ name, unit, value }) => ({
        MetricName: name,
        Dimensions: dimensions,
        Unit: unit,
        Value: value,
      }));
      await client.send(new PutMetricDataCommand({ Namespace: namespace, MetricData: data }), {
        abortSignal: signal,
      });
    },
    close: () => client.destroy(),
  };
}
