import type { RedState } from './evaluation.js';
import { entriesOf, subjectOf, type Notice, type NoticeChannel } from './notice.js';

const TIMEOUT_MS = 10_000;

/**
 * Posts notices to the URL that the configuration names, and to no other: redirects are an error. The JSON is taken by Slack's
 * incoming webhooks (`text`), by receivers of SNS notifications over HTTPS (`Type`, `Subject`, `Message`), and has every
 * state in fields of its own (`alerts`).
 */
export const createWebhook = (url: string): NoticeChannel => ({
  kind: 'webhook',
  name: 'webhook',
  async send(notice, signal) {
    await callUrl(url, signal, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(webhookBody(notice)),
    });
  },
});

/**
 * Calls a URL of the configuration; resolves when it answers with 2xx within ten seconds. The answer is not read.
 * @throws otherwise; the error never quotes the URL, which may hold a secret.
 */
export async function callUrl(url: string, signal: AbortSignal, init: RequestInit): Promise<void> {
  const response = await fetch(url, {
    ...init,
    redirect: 'manual',
    signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
  }).catch((error: unknown) => {
    throw new Error(`the call failed: ${reasonOf(error)}`);
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`the answer was ${response.status}`);
}

/** `fetch` hides the reason in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const { cause } = error;
  if (cause instanceof Error && 'code' in cause) return String(cause.code);
  return error.name;
}

function webhookBody(notice: Notice): Record<string, unknown> {
  const subject = subjectOf(notice);
  const lines = entriesOf(notice).map(
    ({ kind, title, text }) => `${kind.toUpperCase()}: ${title}. ${text}`,
  );
  return {
    text: [subject, ...lines].map(forSlack).join('\n'),
    Type: 'Notification',
    Subject: subject,
    Message: lines.join('\n'),
    Timestamp: new Date().toISOString(),
    environment: notice.environment,
    alerts: [
      ...notice.raised.map((item) => ({
        state: 'raised',
        ...fieldsOf(notice, item),
        since: item.since.toISOString(),
      })),
      ...notice.cleared.map((item) => ({
        state: 'cleared',
        ...fieldsOf(notice, item),
        since: item.since.toISOString(),
        until: item.until.toISOString(),
      })),
    ],
  };
}

const fieldsOf = (
  { runbookUrl }: Notice,
  { name, title, severity, detail, section }: RedState,
) => ({
  name,
  title,
  severity,
  detail,
  runbook: `${runbookUrl}#${section}`,
});

/** Slack's control characters: a mail server's words must not become a link or a mention. */
const forSlack = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
