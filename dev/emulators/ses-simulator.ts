import { randomUUID } from 'node:crypto';
import { watch } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import { sesEventsFor, type CaughtMail, type SesEventBody } from './ses-events.js';

/** Options of the simulator. */
export interface SesSimulatorOptions {
  /** The mail catcher's folder, with a file for each mail. */
  readonly mailDir: string;
  /** The mail catcher's web page. */
  readonly url: string;
  readonly workerUrl: string;
  readonly onProblem: (text: string) => void;
}

/** Posts SES events to the worker until stopped. */
export interface SesSimulator {
  /** Aborts what is in progress, and resolves when it has ended. Safe twice. */
  stop(): Promise<void>;
}

const TOPIC_ARN = 'arn:aws:sns:us-east-1:000000000000:rollcall-ses-events';
const QUEUE = 'rollcall-local-worker-queue';
/** Delays before each attempt to find a mail: the catcher lists it a moment after its file appears. */
const LISTED_AFTER_MS = [100, 300, 1_000, 3_000];
/** The daemon's `ErrorVisibilityTimeout` and `MaxRetries`. */
const REPOST_AFTER_MS = 2_000;
const MAX_POSTS = 10;

/**
 * Emulates Amazon SES, SNS, SQS and the worker tier's daemon (aws-sqsd): posts the events of each mail that arrives in the
 * catcher from now on to the worker. Watches the catcher's folder instead of polling.
 */
export function startSesSimulator(options: SesSimulatorOptions): SesSimulator {
  const stopping = new AbortController();
  const { signal } = stopping;
  const seen = new Set<string>();
  const inProgress = new Set<Promise<void>>();

  const watcher = watch(options.mailDir, { persistent: false }, (_event, file) => {
    const id = file?.endsWith('.eml') ? file.slice(0, -'.eml'.length) : undefined;
    if (id === undefined || seen.has(id)) return;
    seen.add(id);
    const task = simulate(options, id, signal)
      .catch((error: unknown) => {
        if (!signal.aborted) options.onProblem(`The SES simulator: ${String(error)}`);
      })
      .finally(() => inProgress.delete(task));
    inProgress.add(task);
  });
  watcher.on('error', (error) => options.onProblem(`The SES simulator: ${String(error)}`));

  return {
    async stop() {
      watcher.close();
      stopping.abort();
      await Promise.all(inProgress);
    },
  };
}

async function simulate(
  { url, workerUrl }: SesSimulatorOptions,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  const mail = await findMail(url, id, signal);
  if (mail) await postEvents(workerUrl, mail, signal);
}

/** Posts the events of a mail in order, each until the worker has accepted it. */
async function postEvents(workerUrl: string, mail: CaughtMail, signal: AbortSignal): Promise<void> {
  for (const event of sesEventsFor(mail)) {
    await postUntilAccepted(workerUrl, JSON.stringify(envelopeOf(event)), signal);
  }
}

async function postUntilAccepted(
  workerUrl: string,
  body: string,
  signal: AbortSignal,
): Promise<void> {
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
      throw new Error(`the worker did not accept an event: ${status ?? 'no answer'}`);
    await delay(REPOST_AFTER_MS, undefined, { signal });
  }
}

/** Resolves to the status, or to `undefined` without an answer. */
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

/** The SNS notification around an event, without a signature: only SNS has the key. */
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

/** The mail with this id; `undefined` if it has been deleted. Reads the list, since reading the mail marks it as read. */
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
