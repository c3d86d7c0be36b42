import { createHash, randomUUID } from 'node:crypto';
import {
  entriesOf,
  subjectOf,
  type Notice,
  type NoticeChannel,
} from '../../shared/alerts/notice.js';
import type { WorkerConfig } from '../../shared/config/config.js';
import type { Mailer } from './mail.port.js';
import { renderMail, type RenderedMail } from './mails/layout.js';

/** A server that accepts the content and does not answer must not hold up the next try. */
const TIMEOUT_MS = 30_000;

/**
 * Mails notices to operators, each by a channel of its own: what one mailbox refuses, another may take. Straight through the
 * mailer: neither PostgreSQL nor Redis is needed, and no pause of the queue holds them back.
 */
export const createAlertMails = (
  mailer: Mailer,
  { mail, alerts }: Pick<WorkerConfig, 'mail' | 'alerts'>,
): NoticeChannel[] =>
  alerts.emails.map((address) => ({
    kind: 'mail',
    name: `mail:${createHash('sha256').update(address).digest('hex').slice(0, 12)}`,
    async send(notice, signal) {
      const rendered = renderAlertMail(mail.from.name, notice);
      await mailer.send(
        { id: randomUUID(), to: { name: '', address }, ...rendered },
        AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      );
    },
  }));

/** The notice as a mail. */
function renderAlertMail(service: string, notice: Notice): RenderedMail {
  const subject = subjectOf(notice);
  return renderMail({
    service,
    subject,
    preview: notice.raised[0]?.detail ?? 'It works again.',
    blocks: entriesOf(notice).map(({ kind, title, text }) => ({
      kind: 'aside',
      title: `${kind}: ${title}`,
      text,
    })),
    footer: `Sent by ${service} because your address is in ALERT_EMAILS.`,
  });
}
