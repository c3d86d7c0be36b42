import { createHash } from 'node:crypto';
import * as z from 'zod';
import { isoTime } from '../../../shared/iso-time.js';
import { maskPersonalData } from '../../../shared/logging/mask.js';
import { WITHDRAWN_COMPLAINT, type MailEventType } from '../../../shared/models/index.js';

/** One event of a mail, as Amazon SES publishes it. */
export interface SesEvent {
  readonly type: MailEventType;
  readonly subtype: string | undefined;
  readonly at: Date;
  /** The id that SES gave the mail. */
  readonly providerId: string;
  /** The outbox message in the mail's tag. */
  readonly outboxId: string | undefined;
  /** The addresses that the event is about. */
  readonly recipients: readonly string[];
  /** The receiving server's reply, without addresses. */
  readonly detail: string | undefined;
  /** True for a permanent bounce or a complaint: no more mail to the recipients. */
  readonly suppresses: boolean;
  /** True when a recipient has withdrawn its complaint. */
  readonly lifts: boolean;
  /** The same for every copy of an event, in whatever envelope. */
  readonly fingerprint: string;
}

const MAX_WORD = 100;
const word = z.string().transform((text) => maskPersonalData(text, MAX_WORD));

const Mail = z.object({
  // Stored unchanged: printable ASCII, so nothing that PostgreSQL rejects.
  messageId: z.string().regex(/^[\x21-\x7e]{1,200}$/),
  timestamp: isoTime,
  tags: z
    .object({ outbox_id: z.array(z.string()) })
    .optional()
    .catch(undefined),
});

/** A server's words. No event is refused for them, and SES writes `null` for some of what is missing. */
const serverText = z.string().nullish().catch(undefined);

const Recipient = z.object({
  emailAddress: z.string(),
  status: serverText,
  diagnosticCode: serverText,
});

const Bounce = z.object({
  bounceType: word,
  bounceSubType: word,
  bouncedRecipients: z.array(Recipient),
  timestamp: isoTime,
});
const Complaint = z.object({
  complainedRecipients: z.array(Recipient),
  timestamp: isoTime,
  complaintSubType: word.nullish(),
  complaintFeedbackType: word.nullish(),
});
const Delivery = z.object({
  timestamp: isoTime,
  recipients: z.array(z.string()),
  smtpResponse: serverText,
});
const DeliveryDelay = z.object({
  timestamp: isoTime,
  delayType: word,
  delayedRecipients: z.array(Recipient),
});
const Reject = z.object({ reason: serverText });

/** `eventType` in events of a configuration set, `notificationType` in those of an identity. */
const Kind = z
  .object({ eventType: z.string().optional(), notificationType: z.string().optional() })
  .transform(({ eventType, notificationType }) => eventType ?? notificationType)
  .pipe(z.string());

type Facts = Pick<SesEvent, 'type' | 'at' | 'recipients'> &
  Partial<Pick<SesEvent, 'subtype' | 'suppresses' | 'lifts'>> & {
    reply?: string | null | undefined;
  };

/** How each kind is read; all others say nothing about delivery. */
const readers: Readonly<Record<string, z.ZodType<Facts & { mail: z.output<typeof Mail> }>>> = {
  Delivery: z.object({ mail: Mail, delivery: Delivery }).transform(({ mail, delivery }) => ({
    mail,
    type: 'delivered' as const,
    at: delivery.timestamp,
    recipients: delivery.recipients,
    reply: delivery.smtpResponse,
  })),
  Bounce: z.object({ mail: Mail, bounce: Bounce }).transform(({ mail, bounce }) => ({
    mail,
    type: 'bounced' as const,
    subtype: `${bounce.bounceType}/${bounce.bounceSubType}`,
    at: bounce.timestamp,
    suppresses: bounce.bounceType === 'Permanent',
    ...about(bounce.bouncedRecipients),
  })),
  Complaint: z.object({ mail: Mail, complaint: Complaint }).transform(({ mail, complaint }) => {
    const isWithdrawn = complaint.complaintFeedbackType === WITHDRAWN_COMPLAINT;
    return {
      mail,
      type: 'complained' as const,
      subtype: complaint.complaintFeedbackType ?? complaint.complaintSubType ?? undefined,
      at: complaint.timestamp,
      suppresses: !isWithdrawn,
      lifts: isWithdrawn,
      ...about(complaint.complainedRecipients),
    };
  }),
  DeliveryDelay: z
    .object({ mail: Mail, deliveryDelay: DeliveryDelay })
    .transform(({ mail, deliveryDelay }) => ({
      mail,
      type: 'delayed' as const,
      subtype: deliveryDelay.delayType,
      at: deliveryDelay.timestamp,
      ...about(deliveryDelay.delayedRecipients),
    })),
  Reject: z.object({ mail: Mail, reject: Reject }).transform(({ mail, reject }) => ({
    mail,
    type: 'rejected' as const,
    at: mail.timestamp,
    recipients: [],
    reply: reject.reason,
  })),
};

/**
 * Parses an event of Amazon SES:
 * https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
 * Unknown fields are ignored. A kind that says nothing about delivery is `ignored`.
 * @returns `undefined` when it is not an event of SES.
 */
export function readSesEvent(body: unknown): SesEvent | { readonly ignored: string } | undefined {
  const kind = Kind.safeParse(body);
  if (!kind.success) return undefined;
  const reader = Object.hasOwn(readers, kind.data) ? readers[kind.data] : undefined;
  if (!reader) return { ignored: maskPersonalData(kind.data, MAX_WORD) };
  const parsed = reader.safeParse(body);
  if (!parsed.success) return undefined;
  const {
    mail,
    type,
    at,
    recipients,
    subtype,
    reply,
    suppresses = false,
    lifts = false,
  } = parsed.data;
  const tag = z.uuid().safeParse(mail.tags?.outbox_id[0]);
  const identity = [mail.messageId, type, subtype ?? '', at.toISOString(), recipients.toSorted()];
  return {
    type,
    subtype,
    at,
    providerId: mail.messageId,
    outboxId: tag.success ? tag.data : undefined,
    recipients,
    detail: typeof reply === 'string' ? maskPersonalData(reply) : undefined,
    suppresses,
    lifts,
    fingerprint: createHash('sha256').update(JSON.stringify(identity)).digest('hex'),
  };
}

function about(recipients: readonly z.output<typeof Recipient>[]) {
  return {
    recipients: recipients.map(({ emailAddress }) => emailAddress),
    reply: recipients.map(({ diagnosticCode, status }) => diagnosticCode ?? status)[0],
  };
}
