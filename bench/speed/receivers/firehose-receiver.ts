import { createServer, type IncomingMessage } from 'node:http';
import { claimPort, loopback } from '../../../dev/stack/processes/ports.js';

/** A Firehose endpoint that accepts every batch and keeps none, as cheap as can be: it shares a core with Redis. */
export interface FirehoseReceiver {
  readonly url: string;
  /** Log lines received since the start. */
  lines(): number;
  close(): Promise<void>;
}

const DATA_KEY = '"Data":"';
const NEWLINE = 10;
/** As long as those of AWS. */
const RECORD_ID = 'r'.repeat(224);

/** Opens it on a free port of loopback. */
export async function openFirehoseReceiver(): Promise<FirehoseReceiver> {
  const claim = await claimPort(0);
  let lines = 0;
  const server = createServer((req, res) => {
    readBody(req).then((body) => {
      const records = countRecords(body);
      lines += records * linesInFirstRecord(body);
      const answer = answerFor(records);
      res.writeHead(200, {
        'content-type': 'application/x-amz-json-1.1',
        'content-length': answer.length,
      });
      res.end(answer);
    }, res.destroy.bind(res));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(claim.port, loopback, resolve);
  });
  return {
    url: `http://${loopback}:${claim.port}`,
    lines: () => lines,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
      await claim.release();
    },
  };
}

async function readBody(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Without parsing: the data of a record is base64, which has no quotes. */
function countRecords(body: Buffer): number {
  let count = 0;
  for (let at = body.indexOf(DATA_KEY); at >= 0; at = body.indexOf(DATA_KEY, at + 1)) count += 1;
  return count;
}

/** A producer may put several lines in a record; then it does so in all of a batch. */
function linesInFirstRecord(body: Buffer): number {
  const start = body.indexOf(DATA_KEY) + DATA_KEY.length;
  const data = Buffer.from(body.toString('latin1', start, body.indexOf('"', start)), 'base64');
  return Math.max(1, data.filter((byte) => byte === NEWLINE).length);
}

const answers = new Map<number, string>();

function answerFor(records: number): string {
  const known = answers.get(records);
  if (known !== undefined) return known;
  const RequestResponses = Array.from({ length: records }, () => ({ RecordId: RECORD_ID }));
  const answer = JSON.stringify({ FailedPutCount: 0, Encrypted: false, RequestResponses });
  answers.set(records, answer);
  return answer;
}
