import test from 'ava';
import { classifySmtpError } from '../../workers/mail/smtp/smtp-failures.js';
import type { MailFailure, MailFailureEffect, MailProgress } from '../../workers/mail/mail.port.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

interface Told {
  readonly code?: string;
  readonly command?: string;
  readonly response?: string;
}

const replies: readonly [effect: MailFailureEffect, told: Told][] = [
  [
    'unreachable',
    { code: 'EPROTOCOL', command: 'CONN', response: '421 Too many concurrent SMTP connections' },
  ],
  ['retry', { code: 'EENVELOPE', command: 'RCPT TO', response: '421 4.7.0 try again later' }],
  ['unreachable', { code: 'EENVELOPE', command: 'MAIL FROM', response: '451 try again later' }],
  ['retry', { code: 'EENVELOPE', response: '450 4.2.1 mailbox busy' }],
  ['retry', { code: 'EMESSAGE', response: '451 Temporary service failure' }],
  ['retry', { code: 'EMESSAGE', response: '452 insufficient system storage' }],
  [
    'unreachable',
    { code: 'EAUTH', command: 'AUTH PLAIN', response: '454 Temporary authentication failure' },
  ],
  ['retry', { code: 'EENVELOPE', response: '503 Bad sequence of commands' }],
  ['unreachable', { code: 'ECONNECTION', command: 'CONN' }],
  ['unreachable', { code: 'ETIMEDOUT', command: 'CONN' }],
  ['unreachable', { code: 'ESOCKET', command: 'CONN' }],
  ['unreachable', { code: 'EDNS', command: 'CONN' }],
  ['unreachable', { code: 'ECONNECTION' }],
  [
    'refuse',
    { code: 'EENVELOPE', command: 'RCPT TO', response: '550 <certificate@x.example> unknown' },
  ],
  ['refuse', { code: 'EENVELOPE', command: 'RCPT TO', response: '554 Access denied' }],
  ['unreachable', { code: 'EPROTOCOL', command: 'CONN', response: '554 no SMTP service here' }],
  [
    'throttle',
    { code: 'EMESSAGE', response: '454 Throttling failure: Maximum sending rate exceeded' },
  ],
  [
    'throttle',
    { code: 'EMESSAGE', response: '454 Throttling failure: Daily message quota exceeded' },
  ],
  ['misconfigured', { code: 'EAUTH', response: '535 Authentication Credentials Invalid' }],
  [
    'misconfigured',
    { code: 'EENVELOPE', command: 'MAIL FROM', response: '530 Authentication required' },
  ],
  [
    'misconfigured',
    { code: 'EENVELOPE', command: 'MAIL FROM', response: '553 sender not verified' },
  ],
  ['misconfigured', { code: 'EAUTH' }],
  ['misconfigured', { code: 'ENOAUTH' }],
  ['misconfigured', { code: 'ETLS' }],
  [
    'misconfigured',
    {
      code: 'EMESSAGE',
      response: "554 Access denied: User 'arn:aws:iam::1:user/x' is not authorized",
    },
  ],
  ['refuse', { code: 'EENVELOPE', command: 'RCPT TO', response: '550 5.1.1 no such user' }],
  ['refuse', { code: 'EENVELOPE', command: 'RCPT TO', response: '551 user not local' }],
  ['refuse', { code: 'EMESSAGE', response: '552 Message is too long.' }],
  ['refuse', { code: 'EENVELOPE', command: 'RCPT TO', response: '553 Invalid email address' }],
  ['refuse', { code: 'EMESSAGE', response: '554 Message rejected' }],
  [
    'refuse',
    { code: 'EENVELOPE', command: 'RCPT TO', response: '501 Bad recipient address syntax' },
  ],
  ['retry', { code: 'EENVELOPE', command: 'RCPT TO', response: 'banana' }],
  ['retry', { code: 'EENVELOPE', command: 'RCPT TO', response: '999 5.9.9 strange' }],
  ['retry', { code: 'EENVELOPE', command: 'RCPT TO', response: '250-' }],
  ['retry', { code: 'EMESSAGE', command: 'DATA', response: 'no certificate' }],
  ['refuse', { code: 'EENVELOPE' }],
  ['refuse', { code: 'EMESSAGE' }],
];

/** What whoever sends is told, by the command that it answers. */
const ofSender: readonly [command: 'MAIL FROM' | 'RCPT TO' | 'DATA', reply: string][] = [
  [
    'DATA',
    '554 Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1: no-reply@rollcall.test',
  ],
  [
    'DATA',
    '554 Message rejected: Sending paused for this account. For more information, please check the inbox of the email address associated with your AWS account.',
  ],
  ['DATA', '554 Message rejected: Sending suspended for this account.'],
  ['DATA', '554 Configuration set <rollcall-events> does not exist.'],
  ['DATA', '554 Sending paused for Configuration Set <rollcall-events>.'],
  ['DATA', '554 Transaction failed: MAIL FROM domain is not verified.'],
  ['DATA', '554 Message rejected: the account is in the sandbox'],
  [
    'DATA',
    "554 Access denied: User 'arn:aws:iam::1:user/x' is not authorized to perform ses:SendRawEmail",
  ],
  ['DATA', '554 Maximum sending rate exceeded'],
  ['DATA', '550 5.4.5 Daily user sending quota exceeded'],
  ['DATA', '554 Daily message quota exceeded'],
  ['DATA', '550 5.7.26 This message fails to pass authentication checks'],
  ['DATA', '550 5.7.1 Unauthenticated email is not accepted due to domain DMARC policy'],
  ['DATA', '550 5.7.23 The message was rejected because SPF did not pass'],
  ['DATA', '550 5.7.60 SMTP; Client does not have permissions to send as this sender'],
  ['DATA', '554 5.2.252 SendAsDenied; no-reply@rollcall.test not allowed to send as it'],
  ['DATA', '550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP'],
  ['DATA', '550 5.7.501 Access denied, spam abuse detected'],
  ['DATA', '550 The from address does not match a verified Sender Identity.'],
  ['DATA', '550 Unauthenticated senders not allowed'],
  ['DATA', '451 Authentication failed: Maximum credits exceeded'],
  [
    'DATA',
    '550 5.7.1 Messages from 192.0.2.1 were not sent: part of their network is on our block list',
  ],
  ['RCPT TO', '554 5.7.1 <ada@x.example>: Relay access denied'],
  ['RCPT TO', '550 relay not permitted'],
  ['RCPT TO', '553 5.7.1 <no-reply@rollcall.test>: Sender address rejected: not owned by user x'],
  ['RCPT TO', '550 5.1.8 <no-reply@rollcall.test>: Sender address rejected: Domain not found'],
  ['RCPT TO', '450 4.1.8 <no-reply@rollcall.test>: Sender address rejected: Domain not found'],
  ['RCPT TO', '550 Sender verify failed'],
  [
    'RCPT TO',
    '554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org',
  ],
  ['RCPT TO', '550 5.7.25 Client host rejected: cannot find your reverse hostname'],
  ['RCPT TO', '504 5.5.2 <worker>: Helo command rejected: need fully-qualified hostname'],
  ['RCPT TO', '503 5.5.4 Error: send AUTH command first, authentication required'],
  ['MAIL FROM', '501 5.1.7 Bad sender address syntax'],
  ['MAIL FROM', '550 5.7.1 you may not send as this sender'],
  ['MAIL FROM', '552 5.2.2 Exceeded storage allocation'],
  ['MAIL FROM', '552 You have sent too many messages today'],
  [
    'DATA',
    '554 Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1: ann@mailbox.org',
  ],
  ['DATA', '553 Sender address invalid'],
  ['DATA', '550 Your IP address blacklisted'],
  ['RCPT TO', '554 5.7.1 <user-unknown@mailbox.org>: Relay access denied'],
];
for (const [command, response] of ofSender) {
  test(`${command} answered with ${response} is about whoever sends (field: SES, 0pdd, ecs-agent)`, (t) => {
    const code = command === 'DATA' ? 'EMESSAGE' : 'EENVELOPE';
    t.is(failureOf({ code, command, response }).effect, 'misconfigured');
  });
}

/** What is about one recipient or mail, whatever else it says. */
const ofMail: readonly [command: 'MAIL FROM' | 'RCPT TO' | 'DATA', reply: string][] = [
  ['DATA', '550 5.1.1 <ada@x.example>: user unknown, sender rejected'],
  ['DATA', '554 Message rejected: Address blacklisted.'],
  ['DATA', '552 5.2.2 The email account that you tried to reach is over its daily quota'],
  ['DATA', '552 5.3.4 Message size exceeds the limit of your account'],
  ['DATA', '550 5.2.1 The email account that you tried to reach is disabled'],
  ['DATA', '554 5.6.0 Invalid message content'],
  ['RCPT TO', '554 5.7.1 <ada@x.example>: Recipient address rejected: Access denied'],
  ['RCPT TO', '550 5.4.1 Recipient address rejected: Access denied'],
  ['RCPT TO', '550 5.7.1 the recipient has blocked this sender'],
  ['RCPT TO', '550 5.1.1 <dmarc@x.example>: no mailbox here by that name'],
  ['RCPT TO', '551 User not local'],
  ['RCPT TO', '550 Unrouteable address'],
  ['RCPT TO', '550 5.2.1 mailbox disabled'],
  ['DATA', '552 5.2.2 Mailbox full'],
  ['DATA', '552 Requested mail action aborted: exceeded storage allocation'],
  ['DATA', '552 Message is too long.'],
  ['MAIL FROM', '552 5.3.4 Message size exceeds fixed limit'],
  ['MAIL FROM', '552 message too large'],
];
for (const [command, response] of ofMail) {
  test(`${command} answered with ${response} is about this mail, clearly`, (t) => {
    const code = command === 'DATA' ? 'EMESSAGE' : 'EENVELOPE';
    t.like(failureOf({ code, command, response }), { effect: 'refuse', isUnclear: false });
  });
}

/** What may be about either: it speaks of both, of a mailbox without saying whose, or of neither. */
const unclear: readonly [command: 'RCPT TO' | 'DATA', reply: string][] = [
  ['DATA', '550 5.2.2 Submission quota exceeded'],
  ['DATA', '554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException'],
  ['DATA', '554 5.7.1 Mailbox has exceeded its daily sending limit'],
  ['DATA', '552 5.2.2 Mailbox has exceeded its daily sending quota'],
  ['DATA', '554 5.7.1 Your mailbox has been suspended for sending spam'],
  ['DATA', '550 5.2.1 Your account has been disabled'],
  ['DATA', '550 5.2.1 Account disabled'],
  ['DATA', '553 5.1.3 Sender address invalid'],
  ['DATA', '552 This message has been rejected due to content judged to be spam'],
  ['DATA', '554 5.6.0 Content rejected as spam'],
  ['DATA', '552 Quota exceeded'],
  ['DATA', '554 5.7.1 Message rejected under our policy'],
  ['DATA', '550 5.7.1 <dmarc@x.example> rejected by policy'],
  ['DATA', '550 5.7.1 spamhaus@x.example rejected by policy'],
  ['RCPT TO', '554 5.7.1 <ann@x.example>: Recipient address rejected: Sending quota exceeded'],
  ['RCPT TO', '550 Administrative prohibition'],
  ['RCPT TO', '550 Domain rollcall.example has exceeded the max emails per hour (100/100)'],
  ['RCPT TO', '550 5.7.1 <helo@x.example>: rejected'],
  ['RCPT TO', '554 Access denied'],
  ['RCPT TO', '550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; sender not authenticated'],
];
for (const [command, response] of unclear) {
  test(`${command} answered with ${response} may be about this mail or about whoever sends`, (t) => {
    const code = command === 'DATA' ? 'EMESSAGE' : 'EENVELOPE';
    t.like(failureOf({ code, command, response }), { effect: 'refuse', isUnclear: true });
  });
}

test('a later try may do: of a mailbox that is over its limit for now nothing is read about whoever sends', (t) => {
  const response = '450 4.2.1 This account has exceeded its daily limit of incoming mail';
  t.is(failureOf({ code: 'EENVELOPE', command: 'RCPT TO', response }).effect, 'retry');
});

test('no answer after the content means: unanswered, whatever ended the connection; a refusal is an answer', (t) => {
  for (const code of ['ETIMEDOUT', 'ECONNECTION', 'ESOCKET', 'ESTREAM'])
    t.is(failureOf({ code, command: 'CONN' }, 'content').effect, 'unanswered', code);
  const refused = { code: 'EMESSAGE', command: 'DATA', response: '451 later' };
  t.is(failureOf(refused, 'content').effect, 'retry');
  const again = { ...refused, response: '354 go ahead' };
  t.is(failureOf(again, 'content').effect, 'unanswered', 'that is no answer to the content');
  t.is(failureOf({ code: 'ETIMEDOUT', command: 'CONN' }, 'waiting').effect, 'unreachable');
});

for (const [effect, told] of replies) {
  test(`${Object.values(told).join(', ')} means: ${effect}`, (t) => {
    t.is(failureOf(told).effect, effect);
  });
}

test('what is thrown that is no error means: retry', (t) => {
  t.is(classifySmtpError('something').effect, 'retry');
  t.is(classifySmtpError(undefined).effect, 'retry');
});

test('sending rests for a second or so when the rate is exceeded, for four minutes when the daily quota is', (t) => {
  const rate = throttle('454 Throttling failure: Maximum sending rate exceeded');
  t.true(rate >= 1_000 && rate <= 1_500, String(rate));
  t.is(throttle('454 Throttling failure: Daily message quota exceeded'), 240_000);
});

test('addresses, links and tokens in a reply are masked', (t) => {
  const token = `ct_${'0'.repeat(32)}_${'x'.repeat(43)}`;
  const response = `550 <Jürgen.o'hara+tag@x.example> spam: https://rollcall.example/auth/confirm?token=${token} (${token})`;
  const { message } = classifySmtpError(
    Object.assign(new Error('no'), { code: 'EMESSAGE', response, responseCode: 550 }),
  );
  t.is(message, '550 <[address]> spam: [link] ([token])');
});

test('a very long reply is cut', (t) => {
  const response = `451 ${'a'.repeat(1_000_000)}`;
  const { message } = classifySmtpError(
    Object.assign(new Error('no'), { response, responseCode: 451 }),
  );
  t.is(message.length, 1_000);
});

function throttle(response: string): number {
  const error = Object.assign(new Error('no'), { code: 'EMESSAGE', response, responseCode: 454 });
  return classifySmtpError(error).pauseMs ?? 0;
}

function failureOf({ response, ...rest }: Told, progress: MailProgress = 'waiting'): MailFailure {
  const error = Object.assign(
    new Error(`it failed: ${response ?? ''}`),
    rest,
    response && { response, responseCode: Number(response.slice(0, 3)) },
  );
  return classifySmtpError(error, progress);
}
