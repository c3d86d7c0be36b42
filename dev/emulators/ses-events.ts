import { randomUUID } from 'node:crypto';

/** A mail in the mail catcher: the parts that SES events mention. */
export interface CaughtMail {
  readonly recipient: string;
  readonly source: string;
  readonly subject: string;
  /** The message tags of `X-SES-MESSAGE-TAGS`, by name. */
  readonly tags: Readonly<Record<string, string>>;
}

/** An event as SES publishes it to an SNS topic. */
export type SesEventBody = Readonly<Record<string, unknown>>;

/** The addresses of the SES mailbox simulator, with or without a label. */
const SIMULATOR =
  /^(success|bounce|complaint|ooto|suppressionlist)(?:\+[^@]*)?@simulator\.amazonses\.com$/i;

const REPORTING_MTA = 'dns; a8-70.smtp-out.amazonses.com';

/**
 * The events that SES would publish about a mail, in order: a delivery for ordinary addresses, for those of the mailbox
 * simulator what is documented. https://docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html
 */
export function sesEventsFor(mail: CaughtMail, now = new Date()): SesEventBody[] {
  const about = mailObject(mail, now);
  switch (SIMULATOR.exec(mail.recipient)?.[1]?.toLowerCase()) {
    case 'bounce':
      return [bounce(about, mail, now, 'General', 'smtp; 550 5.1.1 user unknown')];
    case 'suppressionlist':
      return [
        bounce(about, mail, now, 'Suppressed', 'Amazon SES has suppressed sending to this address'),
      ];
    case 'complaint':
      return [delivery(about, mail, now), complaint(about, mail, now)];
    default:
      return [delivery(about, mail, now)];
  }
}

function mailObject({ recipient, source, subject, tags }: CaughtMail, now: Date): SesEventBody {
  const headers = [
    { name: 'From', value: source },
    { name: 'To', value: recipient },
    { name: 'Subject', value: subject },
  ];
  return {
    timestamp: now.toISOString(),
    source,
    sourceArn: 'arn:aws:ses:us-east-1:000000000000:identity/rollcall.test',
    sendingAccountId: '000000000000',
    messageId: `0100${randomUUID()}-000000`,
    destination: [recipient],
    headersTruncated: false,
    headers,
    commonHeaders: { from: [source], to: [recipient], subject },
    tags: {
      'ses:configuration-set': ['rollcall-local'],
      'ses:source-ip': ['127.0.0.1'],
      'ses:from-domain': [source.slice(source.lastIndexOf('@') + 1)],
      ...Object.fromEntries(Object.entries(tags).map(([name, value]) => [name, [value]])),
    },
  };
}

function delivery(mail: SesEventBody, { recipient }: CaughtMail, now: Date): SesEventBody {
  return {
    eventType: 'Delivery',
    mail,
    delivery: {
      timestamp: now.toISOString(),
      processingTimeMillis: 546,
      recipients: [recipient],
      smtpResponse: '250 2.6.0 Message received',
      remoteMtaIp: '127.0.0.1',
      reportingMTA: 'a8-70.smtp-out.amazonses.com',
    },
  };
}

function bounce(
  mail: SesEventBody,
  { recipient }: CaughtMail,
  now: Date,
  bounceSubType: string,
  diagnosticCode: string,
): SesEventBody {
  return {
    eventType: 'Bounce',
    mail,
    bounce: {
      feedbackId: `0100${randomUUID()}-000000`,
      bounceType: 'Permanent',
      bounceSubType,
      bouncedRecipients: [
        { emailAddress: recipient, action: 'failed', status: '5.1.1', diagnosticCode },
      ],
      timestamp: now.toISOString(),
      reportingMTA: REPORTING_MTA,
    },
  };
}

function complaint(mail: SesEventBody, { recipient }: CaughtMail, now: Date): SesEventBody {
  return {
    eventType: 'Complaint',
    mail,
    complaint: {
      feedbackId: `0100${randomUUID()}-000000`,
      complaintSubType: null,
      complainedRecipients: [{ emailAddress: recipient }],
      timestamp: now.toISOString(),
      userAgent: 'Amazon SES Mailbox Simulator',
      complaintFeedbackType: 'abuse',
      arrivalDate: now.toISOString(),
    },
  };
}
