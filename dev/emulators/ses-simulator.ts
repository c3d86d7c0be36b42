import { randomUUID } from 'node:crypto';
import { watch } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import { sesEventsFor, type CaughtMail, type SesEventBody } from './ses-events.js';

/** Where mails are caught, and who wants to hear what became of them. */
export interface SesSimulatorOptions {
  /** Each mail is a file here. */
  readonly mailDir: string;
  /** The mail catcher's page. */
  readonly url: string;
  readonly workerUrl: string;
  readonly onProblem: (text: string) => void;
}

/** Tells the worker about mails until stopped. */
export interface SesSimulator {
  /** Ends what is under way; safe twice. */
  stop(): Promise<void>;
}

const TOPIC_ARN = 'arn:aws:sns:us-east-1:000000000000:rollcall-ses-events';
const QUEUE = 'rollcall-local-worker-queue';
/** The catcher reads a mail before it lists it. */
const LISTED_AFTER_MS = [100, 300, 1_000, 3_000];
/** The daemon's `ErrorVisibilityTimeout` and `MaxRetries`. */
const REPOST_AFTER_MS = 2_000;
const MAX_POSTS = 10;

/**
 * Stands for Amazon SES, SNS, SQS and the worker tier's daemon: each mail that arrives in the catcher from now on is
 * reported to the worker. The folder tells of new mails, so nobody asks again and again.
 */
export function startSesSimulator(options: SesSimulatorOptions): SesSimulator {
  const stopping = new AbortController();
  const { signal } = stopping;
  const seen = new Set<string>();
  const underWay = new Set<Promise<void>>();

  const watcher = watch(options.mailDir, { persistent: false }, (_event, file) => {
    const id = file?.endsWith('.eml') ? file.slice(0, -'.eml'.length) : undefined;
    if (id === undefined || seen.has(id)) return;
    seen.add(id);
    const task = tellOf(options, id, signal)
      .catch((error: unknown) => {
        if (!signal.aborted) options.onProblem(`The SES simulator: ${String(error)}`);
      })
      .finally(() => underWay.delete(task));
    underWay.add(task);
  });
  watcher.on('error', (error) => options.onProblem(`The SES simulator: ${String(error)}`));

  return {
    async stop() {
      watcher.close();
      stopping.abort();
      await Promise.all(underWay);
    },
  };
}

async function tellOf(
  { url, workerUrl }: SesSimulatorOptions,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  const mail = await findMail(url, id, signal);
  if (mail) await reportMail(workerUrl, mail, signal);
}

/** Posts what SES would tell about a mail, in order, each until the worker has taken it. */
async function reportMail(workerUrl: string, mail: CaughtMail, signal: AbortSignal): Promise<void> {
  for (const event of sesEventsFor(mail)) {
    await postUntilTaken(workerUrl, JSON.stringify(envelopeOf(event)), signal);
  }
}

async function postUntilTaken(workerUrl: string, body: string, signal: AbortSignal): Promise<void> {
  const messageId = randomUUID();
  const firstReceivedAt = new Date().toISOString();
  for (let posts = 1; ; posts++) {
    const status = await post(`${workerUrl}/sqs`, body, {
      'Content-Type': 'application/json',
      'User-Agent': 'aws-sqsd/3.0.4',
      'X-Aws-Sqsd-Msgid': messageId,
      'X-Aws-Sqsd-Queue': QUEUE,
      'X-Aws-Sqsd-First-Received-At': firstReceivedAt,
      'X-Aws-Sqsd-Receive-Count': String(posts),
    });
    if (status === 200) return;
    if (posts === MAX_POSTS)
      throw new Error(`the worker did not take an event: ${status ?? 'no answer'}`);
    await delay(REPOST_AFTER_MS, undefined, { signal });
  }
}

/** Resolves to the status, or to `undefined` when nobody answers. */
async function post(
  url: string,
  body: string,
  headers: Record<string, string>,
): Promise<number | undefined> {
  try {
    const init = { method: 'POST', body, headers, signal: AbortSignal.timeout(10_000) };
    const answer = await fetch(url, init);
    await answer.arrayBuffer();
    return answer.status;
  } catch {
    return undefined;
  }
}

/** What SNS puts around it. There is no signature: nobody here has the key of SNS. */
function envelopeOf(event: SesEventBody): Readonly<Record<string, string>> {
  return {
    Type: 'Notification',
    MessageId: randomUUID(),
    TopicArn: TOPIC_ARN,
    Subject: 'Amazon SES Email Event Notification',
    Message: JSON.stringify(event),
    Timestamp: new Date().toISOString(),
  };
}

const Listed = z.array(
  z.object({
    subject: z.string().default(''),
    headers: z.object({ 'x-ses-message-tags': z.string().default('') }),
    envelope: z.object({
      from: z.object({ address: z.string() }),
      to: z.array(z.object({ address: z.string() })),
    }),
  }),
);

/** The mail with this id; `undefined` when it is gone again. Asks the list: a look at the mail would mark it as read. */
async function findMail(
  url: string,
  id: string,
  signal: AbortSignal,
): Promise<CaughtMail | undefined> {
  for (const afterMs of LISTED_AFTER_MS) {
    await delay(afterMs, undefined, { signal });
    const answer = await fetch(`${url}/email?id=${encodeURIComponent(id)}`, { signal });
    const [found] = Listed.parse(await answer.json());
    if (found) return caughtMail(found);
  }
  return undefined;
}

function caughtMail({
  subject,
  headers,
  envelope,
}: z.output<typeof Listed>[number]): CaughtMail | undefined {
  const recipient = envelope.to[0]?.address;
  if (recipient === undefined) return undefined;
  const tags = headers['x-ses-message-tags']
    .split(',')
    .map((pair) => pair.trim().split('='))
    .filter((pair): pair is [string, string] => pair.length === 2);
  return { recipient, source: envelope.from.address, subject, tags: Object.fromEntries(tags) };
}
