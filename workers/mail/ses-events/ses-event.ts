import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { MailEventType } from '../../../shared/models/index.js';
import { maskPersonalData } from '../../mask.js';

/** One thing that has become of a mail, as Amazon SES tells it. */
export interface SesEvent {
  readonly type: MailEventType;
  readonly subtype: string | undefined;
  readonly at: Date;
  /** The id under which SES took the mail. */
  readonly providerId: string;
  /** The outbox message that the mail's tag names. */
  readonly outboxId: string | undefined;
  /** Whom it is about. */
  readonly recipients: readonly string[];
  /** What the receiving server said; without addresses. */
  readonly detail: string | undefined;
  /** True when no mail will ever reach the recipients, or they want none. */
  readonly suppresses: boolean;
  /** True when a recipient has taken its complaint back. */
  readonly lifts: boolean;
  /** The same for the same event, however often and in whatever envelope it comes. */
  readonly fingerprint: string;
}

const MAX_WORD = 100;
const word = z.string().transform((text) => maskPersonalData(text).slice(0, MAX_WORD));
const time = z.string().transform((text, context) => {
  const date = new Date(text);
  if (Number.isFinite(date.getTime())) return date;
  context.addIssue('is not a time');
  return z.NEVER;
});

const Mail = z.object({
  // Kept as it is: printable ASCII, nothing that PostgreSQL refuses.
  messageId: z.string().regex(/^[\x21-\x7e]{1,200}$/),
  timestamp: time,
  tags: z
    .object({ outbox_id: z.array(z.string()) })
    .optional()
    .catch(undefined),
});

const Recipient = z.object({
  emailAddress: z.string(),
  status: z.string().optional(),
  diagnosticCode: z.string().optional(),
});

/** What SES writes for a word that it does not have. */
const optionalWord = word.nullish();

const Bounce = z.object({
  bounceType: word,
  bounceSubType: word,
  bouncedRecipients: z.array(Recipient),
  timestamp: time,
});
const Complaint = z.object({
  complainedRecipients: z.array(Recipient),
  timestamp: time,
  complaintSubType: optionalWord,
  complaintFeedbackType: optionalWord,
});
const Delivery = z.object({
  timestamp: time,
  recipients: z.array(z.string()),
  smtpResponse: z.string().optional(),
});
const DeliveryDelay = z.object({
  timestamp: time,
  delayType: word,
  delayedRecipients: z.array(Recipient),
});
const Reject = z.object({ reason: z.string().optional() });

/** SES names the kind in one field for events of a configuration set, and in another for those of an identity. */
const Kind = z
  .object({ eventType: z.string().optional(), notificationType: z.string().optional() })
  .transform(({ eventType, notificationType }) => eventType ?? notificationType)
  .pipe(z.string());

type Facts = Pick<SesEvent, 'type' | 'at' | 'recipients'> &
  Partial<Pick<SesEvent, 'subtype' | 'suppresses' | 'lifts'>> & { said?: string | undefined };

/** How each kind that matters to us is read; all others say nothing about delivery. */
const readers: Readonly<Record<string, z.ZodType<Facts & { mail: z.output<typeof Mail> }>>> = {
  Delivery: z.object({ mail: Mail, delivery: Delivery }).transform(({ mail, delivery }) => ({
    mail,
    type: 'delivered' as const,
    at: delivery.timestamp,
    recipients: delivery.recipients,
    said: delivery.smtpResponse,
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
    const isTakenBack = complaint.complaintFeedbackType === 'not-spam';
    return {
      mail,
      type: 'complained' as const,
      subtype: complaint.complaintFeedbackType ?? complaint.complaintSubType ?? undefined,
      at: complaint.timestamp,
      suppresses: !isTakenBack,
      lifts: isTakenBack,
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
    said: reject.reason,
  })),
};

/**
 * Reads an event of Amazon SES, whoever brought it:
 * https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
 * Unknown fields are of no matter. Resolves a kind that says nothing about delivery to `ignored`.
 * @returns `undefined` when it is no event of SES.
 */
export function readSesEvent(body: unknown): SesEvent | { readonly ignored: string } | undefined {
  const kind = Kind.safeParse(body);
  if (!kind.success) return undefined;
  const reader = Object.hasOwn(readers, kind.data) ? readers[kind.data] : undefined;
  if (!reader) return { ignored: maskPersonalData(kind.data).slice(0, MAX_WORD) };
  const parsed = reader.safeParse(body);
  if (!parsed.success) return undefined;
  const {
    mail,
    type,
    at,
    recipients,
    subtype,
    said,
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
    detail: said === undefined ? undefined : maskPersonalData(said),
    suppresses,
    lifts,
    fingerprint: createHash('sha256').update(JSON.stringify(identity)).digest('hex'),
  };
}

function about(recipients: readonly z.output<typeof Recipient>[]) {
  return {
    recipients: recipients.map(({ emailAddress }) => emailAddress),
    said: recipients.map(({ diagnosticCode, status }) => diagnosticCode ?? status)[0],
  };
}
