import * as z from 'zod';

/**
 * What SNS puts around a message for a queue, unless raw delivery is on:
 * https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
 */
export const SnsEnvelope = z.object({
  Type: z.enum(['Notification', 'SubscriptionConfirmation', 'UnsubscribeConfirmation']),
  // Kept as it is: printable ASCII, nothing that PostgreSQL refuses.
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

/** A message of SNS in its envelope. */
export type SnsEnvelope = z.output<typeof SnsEnvelope>;

/** True for what claims to be an envelope of SNS: an event of SES has no such field. */
export const isEnvelope = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && 'Type' in body;

const SIGNED_OF_NOTIFICATION = [
  'Message',
  'MessageId',
  'Subject',
  'Timestamp',
  'TopicArn',
  'Type',
] as const;
const SIGNED_OF_SUBSCRIPTION = [
  'Message',
  'MessageId',
  'SubscribeURL',
  'Timestamp',
  'Token',
  'TopicArn',
  'Type',
] as const;

/**
 * What the signature is about, byte for byte: the names and values of some fields, each on its line; a field that is
 * not there is left out. https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
 */
export function stringToSign(envelope: SnsEnvelope): string {
  const fields = envelope.Type === 'Notification' ? SIGNED_OF_NOTIFICATION : SIGNED_OF_SUBSCRIPTION;
  return fields
    .filter((name) => envelope[name] !== undefined && envelope[name] !== null)
    .map((name) => `${name}\n${envelope[name]}\n`)
    .join('');
}
