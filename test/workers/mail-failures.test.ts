import test from 'ava';
import { classifySmtpError } from '../../workers/mail/mail-failures.js';
import type { MailFailureEffect } from '../../workers/mail/mail.port.js';

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
  ['refuse', { code: 'EENVELOPE' }],
  ['refuse', { code: 'EMESSAGE' }],
];

for (const [effect, told] of replies) {
  const { response, ...rest } = told;
  test(`${Object.values(told).join(', ')} means: ${effect}`, (t) => {
    const error = Object.assign(
      new Error(`it failed: ${response ?? ''}`),
      rest,
      response && { response, responseCode: Number(response.slice(0, 3)) },
    );
    t.is(classifySmtpError(error).effect, effect);
  });
}

test('what is thrown that is no error means: retry', (t) => {
  t.is(classifySmtpError('something').effect, 'retry');
  t.is(classifySmtpError(undefined).effect, 'retry');
});

test('sending rests for a second or so when the rate is exceeded, for ten minutes when the daily quota is', (t) => {
  const rate = throttle('454 Throttling failure: Maximum sending rate exceeded');
  t.true(rate >= 1_000 && rate <= 1_500, String(rate));
  t.is(throttle('454 Throttling failure: Daily message quota exceeded'), 600_000);
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
  return classifySmtpError(error).restMs ?? 0;
}
