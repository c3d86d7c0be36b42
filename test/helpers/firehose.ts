import * as z from 'zod';
import type { TestContext } from './context.js';
import { eventually } from './eventually.js';
import { ask } from './http.js';

const Page = z.object({
  records: z.array(
    z.object({ seq: z.int(), document: z.record(z.string(), z.unknown()).optional() }),
  ),
});

/** One log record as it arrived on the stream. */
export type LogRecord = Readonly<Record<string, unknown>>;

/** What the local Firehose endpoint keeps of this file's stream. */
export interface FirehoseReader {
  /** Every record so far, in order. @throws when one of them is not a JSON object on one line. */
  records(): Promise<LogRecord[]>;
  /** Resolves to the first record that the predicate takes, as soon as it is there. */
  waitForRecord(isWanted: (record: LogRecord) => boolean, of?: string): Promise<LogRecord>;
}

const PAGE_SIZE = 1_000;

/** Reads the stream that this file's processes ship their logs to. */
export function createFirehoseReader({
  stack,
  streamName,
}: Pick<TestContext, 'stack' | 'streamName'>): FirehoseReader {
  const readPage = async (after: number) => {
    const url = new URL('/_records', stack.firehoseUrl);
    url.search = new URLSearchParams({
      stream: streamName,
      after: String(after),
      limit: String(PAGE_SIZE),
    }).toString();
    const { text } = await ask(url, { signal: AbortSignal.timeout(30_000) });
    return Page.parse(JSON.parse(text)).records;
  };
  // A stream only grows: each record is read once, however often they are asked for.
  const found: LogRecord[] = [];
  let last = 0;
  const records = async (): Promise<LogRecord[]> => {
    for (;;) {
      const page = await readPage(last);
      for (const { seq, document } of page) {
        // Another call may have read it meanwhile.
        if (seq <= last) continue;
        if (!document)
          throw new Error(`record ${seq} of ${streamName} is not a JSON object on one line`);
        found.push(document);
        last = seq;
      }
      if (page.length < PAGE_SIZE) return [...found];
    }
  };
  return {
    records,
    waitForRecord: (isWanted, of = 'the record') =>
      eventually(async () => (await records()).find(isWanted), { of }),
  };
}
