import { PutRecordBatchCommand } from '@aws-sdk/client-firehose';

/** A call of PutRecordBatch, and what Firehose answered once it has been sent. */
export interface PutRecordBatchCall {
  readonly command: PutRecordBatchCommand;
  /** The body of the answer to the last attempt. Undefined before, and after an error of the service. */
  answer(): Buffer | undefined;
}

const FIRST_RECORD = '{"Data":"';
const NEXT_RECORD = '"},{"Data":"';
const LAST_RECORD_END = '"}';

/**
 * Creates a call whose request body is encoded here and whose answer is not decoded: by the SDK's schemas either takes
 * several times as long as everything else. All else remains the SDK's: endpoint, headers, signature, retries, clock skew,
 * and errors of the service.
 */
export function createPutRecordBatch(
  stream: string,
  records: readonly Buffer[],
): PutRecordBatchCall {
  // The SDK encodes a request without records, whose body is then replaced, before it is signed.
  const command = new PutRecordBatchCommand({ DeliveryStreamName: stream, Records: [] });
  const body = encodeRequest(stream, records);
  let answer: Buffer | undefined;
  command.middlewareStack.addRelativeTo(
    (next: Handler) => (args: StepArguments) => {
      messageIn(args.request).body = body;
      return next(args);
    },
    { name: 'encodedRecords', relation: 'after', toMiddleware: 'serializerMiddleware' },
  );
  command.middlewareStack.addRelativeTo(
    (next: Handler) => async (args: StepArguments) => {
      answer = undefined;
      const output = await next(args);
      const response = messageIn(output.response);
      if (isSuccess(response)) {
        answer = await readAll(response.body as AsyncIterable<Buffer>);
        response.body = EMPTY_ANSWER;
      }
      return output;
    },
    { name: 'undecodedAnswer', relation: 'after', toMiddleware: 'deserializerMiddleware' },
  );
  return { command, answer: () => answer };
}

/** For the SDK's decoder. */
const EMPTY_ANSWER = Buffer.from('{}');

type Middleware = Parameters<PutRecordBatchCommand['middlewareStack']['addRelativeTo']>[0];
/** The parameters that all steps have. */
type Handler = Parameters<Middleware>[0];
type StepArguments = Parameters<Handler>[0] & { readonly request: unknown };

/** The parts of the SDK's requests and responses that are used. */
interface Message {
  readonly statusCode?: unknown;
  body?: unknown;
}

function messageIn(value: unknown): Message {
  if (typeof value === 'object' && value !== null) return value;
  throw new TypeError('the SDK passed no message');
}

/** Errors are left to the SDK. */
const isSuccess = ({ statusCode }: Message): boolean =>
  typeof statusCode === 'number' && statusCode < 300;

async function readAll(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The request's JSON, with each record in base64: PutRecordBatch, API reference. */
export function encodeRequest(stream: string, records: readonly Buffer[]): Buffer {
  const start = `{"DeliveryStreamName":${JSON.stringify(stream)},"Records":[`;
  let size = Buffer.byteLength(start) + LAST_RECORD_END.length + 2;
  for (const { length } of records) size += NEXT_RECORD.length + Math.ceil(length / 3) * 4;
  const body = Buffer.allocUnsafe(size);
  let at = body.write(start);
  let separator = FIRST_RECORD;
  for (const record of records) {
    at += body.write(separator, at, 'latin1');
    at += body.write(record.toString('base64'), at, 'latin1');
    separator = NEXT_RECORD;
  }
  at += body.write(records.length > 0 ? `${LAST_RECORD_END}]}` : ']}', at, 'latin1');
  return body.subarray(0, at);
}
