import { AwsError } from './aws-error.js';
import type { Faults } from './faults.js';
import type { PutRequest } from './put-request.js';
import { listStreams, openStreamStore, type StreamStore } from './stream-store.js';

/** Counters since the endpoint was opened, served as `GET /_stats`. */
export interface FirehoseStats {
  calls: number;
  /** Records stored. */
  records: number;
  /** Entries answered with an error in a successful call. */
  failed_entries: number;
  largest_call_records: number;
  largest_call_bytes: number;
  /** Calls rejected for exceeding a limit or violating the API. */
  refused_calls: number;
}

/** The result of a call: an answer, or a connection that is closed without one. */
export type PutOutcome = { readonly cut: true } | { readonly cut: false; readonly answer: object };

/** The delivery streams of the endpoint. */
export interface FirehoseService {
  readonly stats: FirehoseStats;
  /** Applies the faults, reads the call, and resolves after its records are in the stream's file. */
  put(readCall: () => Promise<PutRequest>): Promise<PutOutcome>;
  /** Every stream that has a file, in the order of their creation. */
  streams(): Promise<StreamStore[]>;
  close(): Promise<void>;
}

/** Opens the streams that have a file in `dataDir`; others are created by the first call that names them. */
export async function openFirehoseService(
  dataDir: string,
  faults: Faults,
): Promise<FirehoseService> {
  const stores = new Map<string, Promise<StreamStore>>();
  const stats = {
    calls: 0,
    records: 0,
    failed_entries: 0,
    largest_call_records: 0,
    largest_call_bytes: 0,
    refused_calls: 0,
  };

  function openStore(name: string): Promise<StreamStore> {
    const known = stores.get(name);
    if (known !== undefined) return known;
    const opening = openStreamStore(dataDir, name);
    stores.set(name, opening);
    return opening;
  }

  async function put(readCall: () => Promise<PutRequest>): Promise<PutOutcome> {
    stats.calls += 1;
    const verdict = await faults.judge();
    if (verdict.cut) return { cut: true };
    const call = await readCall().catch((error: unknown) => {
      stats.refused_calls += 1;
      throw error;
    });
    const isStored = call.records.map((_, index) => !verdict.isRefused(index));
    const store = await openStore(call.stream);
    const ids = await store.append(call.records.filter((_, index) => isStored[index]));
    stats.records += ids.length;
    stats.failed_entries += call.records.length - ids.length;
    stats.largest_call_records = Math.max(stats.largest_call_records, call.records.length);
    stats.largest_call_bytes = Math.max(stats.largest_call_bytes, call.bytes);
    return { cut: false, answer: answerTo(call, isStored, ids) };
  }

  for (const name of await listStreams(dataDir)) await openStore(name);
  return {
    stats,
    put,
    streams: () => Promise.all(stores.values()),
    async close() {
      for (const store of await Promise.all(stores.values())) await store.close();
      stores.clear();
    },
  };
}

function answerTo(call: PutRequest, isStored: readonly boolean[], ids: readonly string[]): object {
  let nextId = 0;
  const entries = isStored.map((stored) =>
    stored
      ? { RecordId: ids[nextId++] }
      : { ErrorCode: 'ServiceUnavailableException', ErrorMessage: 'Slow down.' },
  );
  if (call.operation === 'PutRecordBatch') {
    return {
      FailedPutCount: isStored.length - ids.length,
      Encrypted: false,
      RequestResponses: entries,
    };
  }
  if (ids.length === 0) throw new AwsError(500, 'ServiceUnavailableException', 'Slow down.');
  return { RecordId: ids[0], Encrypted: false };
}
