/** One value of a metric, of this minute. */
export interface MetricValue {
  readonly name: string;
  readonly unit: 'Count' | 'Seconds' | 'None';
  readonly value: number;
}

/** Where metrics are published. */
export interface CloudWatch {
  /** Publishes all values in one call. @throws the service's error or a network error; rejects promptly when aborted. */
  put(values: readonly MetricValue[], signal: AbortSignal): Promise<void>;
  close(): void;
}
