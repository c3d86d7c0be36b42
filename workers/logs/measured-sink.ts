import type { Metrics } from '../../shared/metrics/metrics.js';
import { SinkFailure, type RecordSink } from './record-sink.port.js';

/** The sink with its calls timed, and their records counted. */
export const measuredSink = (sink: RecordSink, metrics: Metrics): RecordSink => ({
  async put(records, signal) {
    const startedAt = performance.now();
    try {
      const refusals = await sink.put(records, signal);
      const refused = refusals.length;
      metrics.count('rollcall_firehose_calls_total', {
        result: refused === 0 ? 'accepted' : 'partial',
      });
      metrics.add('rollcall_firehose_records_total', records.length - refused, {
        result: 'accepted',
      });
      metrics.add('rollcall_firehose_records_total', refused, { result: 'refused' });
      return refusals;
    } catch (error) {
      const result = error instanceof SinkFailure ? error.effect : 'unavailable';
      if (!signal.aborted) metrics.count('rollcall_firehose_calls_total', { result });
      throw error;
    } finally {
      const seconds = (performance.now() - startedAt) / 1_000;
      metrics.observe('rollcall_firehose_call_seconds', seconds);
    }
  },
  close: () => sink.close(),
});
