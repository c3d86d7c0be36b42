import * as z from 'zod';

/**
 * The envelope of an SNS message in a queue, unless raw message delivery is on:
 * https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
 */
export const SnsEnvelope = z.object({
  Type: z.enum(['Notification', 'SubscriptionConfirmation', 'UnsubscribeConfirmation']),
  // Stored unchanged: printable ASCII, so nothing that PostgreSQL rejects.
  MessageId: z.string().regex(/^[\x21-\x7e]{1,200}$/),
  TopicArn: z.string().max(500),
  Message: z.string(),
  Timestamp: z.string(),
  Subject: z.string().nullish(),
  SubscribeURL: z.string().optional(),
  Token: z.string().optional(),
  SignatureVersion: z.string().optional(),
  Signature: z.string().optional(),
  SigningCertURL: z.string().optional(),
});

export type SnsEnvelope = z.output<typeof SnsEnvelope>;

/** True for anything with an SNS envelope's `Type`, which an event of SES does not have. */
export const isEnvelope = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && 'Type' in body;

const SIGNED_IN_NOTIFICATION = [
  'Message',
  'MessageId',
  'Subject',
  'Timestamp',
  'TopicArn',
  'Type',
] as const;
const SIGNED_IN_SUBSCRIPTION = [
  'Message',
  'MessageId',
  'SubscribeURL',
  'Timestamp',
  'Token',
  'TopicArn',
  'Type',
] as const;

/**
 * The signed text, byte for byte: names and values of some fields, each on its line, without missing fields.
 * https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
 */
export function stringToSign(envelope: SnsEnvelope): string {
  const fields = envelope.Type === 'Notification' ? SIGNED_IN_NOTIFICATION : SIGNED_IN_SUBSCRIPTION;
  return fields
    .filter((name) => envelope[name] !== undefined && envelope[name] !== null)
    .map((name) => `${name}\n${envelope[name]}\n`)
    .join('');
}
