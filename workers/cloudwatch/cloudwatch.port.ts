/** One value of a metric, of this minute. */
export interface MetricValue {
  readonly name: string;
  readonly unit: 'Count' | 'Seconds' | 'None';
  readonly value: number;
}

/** Where metrics are published. */
export interface CloudWatch {
  /** Publishes all values in one call. @throws the error of the service, or of the way to it; when aborted soon. */
  put(values: readonly MetricValue[], signal: AbortSignal): Promise<void>;
  close(): void;
}
