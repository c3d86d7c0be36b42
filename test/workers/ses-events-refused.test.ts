import { X509Certificate } from 'node:crypto';
import test from 'ava';
import { shareProcess, useContext } from '../helpers/context.js';
import {
  bounceOf,
  complaintOf,
  createSigner,
  deliveryOf,
  envelope,
  mailObject,
  NOTIFICATION,
  openSesFixture,
  TOPIC_ARN,
} from './ses-fixture.js';

shareProcess();

const context = useContext();

const signer = createSigner();

const WITH_SUBJECT = ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'];
const CONFIRMATION = [
  ...['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'],
];

for (const version of ['1', '2'] as const) {
  test(`a message signed by version ${version} is taken, and the certificate fetched once`, async (t) => {
    const fetched: string[] = [];
    const { sentMail, postJson } = await openSesFixture(t, context, {
      fetchCertificate: async (url) => {
        fetched.push(url);
        return signer.pem;
      },
    });
    const { id, email, providerId } = await sentMail();
    const mail = mailObject(providerId, id);
    const plain = signer.sign(envelope(deliveryOf(mail, email)), version, NOTIFICATION);
    t.is((await postJson(plain)).status, 200);
    const titled = envelope(bounceOf(mail, email), { Subject: 'An event\nof two lines' });
    t.is((await postJson(signer.sign(titled, version, WITH_SUBJECT))).status, 200);
    const subscription = envelope('You have chosen to subscribe', {
      Type: 'SubscriptionConfirmation',
      Token: 'a-token',
      SubscribeURL: 'https://sns.eu-west-1.amazonaws.com/?x=1',
    });
    t.is((await postJson(signer.sign(subscription, version, CONFIRMATION))).status, 200);
    t.deepEqual(fetched, ['https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-abc.pem']);
  });
}

test('a message that is not signed as it says is 403 and changes nothing', async (t) => {
  const { publicKey } = new X509Certificate(signer.pem);
  const bareKey = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const { sentMail, postJson, eventsOf } = await openSesFixture(t, context, {
    fetchCertificate: async (url) => {
      if (url.includes('broken')) return 'no certificate';
      return url.includes('bare') ? bareKey : signer.pem;
    },
  });
  const { id, email, providerId } = await sentMail();
  const good = signer.sign(
    envelope(bounceOf(mailObject(providerId, id), email)),
    '2',
    NOTIFICATION,
  );
  for (const [why, bad] of Object.entries({
    'another key': createSigner().sign(good, '2', NOTIFICATION),
    'another text': { ...good, Message: `${good.Message} ` },
    'another topic': { ...good, TopicArn: `${TOPIC_ARN}2` },
    'a subject that was not signed': { ...good, Subject: 'x' },
    'the other version': { ...good, SignatureVersion: '1' },
    'an unknown version': { ...good, SignatureVersion: '3' },
    'no version': { ...good, SignatureVersion: undefined },
    'no certificate': { ...good, SigningCertURL: undefined },
    'no signature to speak of': { ...good, Signature: '' },
    "somebody else's host": { ...good, SigningCertURL: 'https://sns.evil.test/a.pem' },
    'no certificate at the address': {
      ...good,
      SigningCertURL: 'https://sns.eu-west-1.amazonaws.com/broken.pem',
    },
    'a bare key at the address': {
      ...good,
      SigningCertURL: 'https://sns.eu-west-1.amazonaws.com/bare.pem',
    },
  })) {
    const answer = await postJson(bad);
    t.is(answer.status, 403, why);
    t.is(answer.type, 'application/problem+json');
    t.is(answer.body['code'], 'untrusted_message');
  }
  t.deepEqual(await eventsOf(providerId), []);
  t.is((await postJson(good)).status, 200);
});

test('with a topic of ours nothing is taken but what SNS has signed for it', async (t) => {
  const { sentMail, postJson, eventsOf, suppressionOf } = await openSesFixture(t, context, {
    topicArn: TOPIC_ARN,
    fetchCertificate: async () => signer.pem,
  });
  const { id, email, providerId } = await sentMail();
  const event = deliveryOf(mailObject(providerId, id), email);
  for (const TopicArn of [`${TOPIC_ARN}-other`, TOPIC_ARN.toUpperCase(), TOPIC_ARN.slice(0, -1)]) {
    const foreign = envelope(event, { TopicArn });
    for (const body of [foreign, signer.sign(foreign, '2', NOTIFICATION)]) {
      const answer = await postJson(body);
      t.deepEqual([answer.status, answer.body['code']], [403, 'untrusted_message'], TopicArn);
    }
  }
  const signed = signer.sign(envelope(event), '2', NOTIFICATION);
  const complaint = complaintOf(mailObject(providerId, id), email, 'abuse');
  for (const [why, body] of Object.entries({
    'a raw event': event,
    'a raw complaint': complaint,
    'what is no event': { some: 'thing' },
    'an unsigned envelope': envelope(complaint),
    'a signature taken off': { ...signed, Signature: undefined },
    'an empty signature': { ...signed, Signature: '' },
    'a signature by nobody': { ...signed, SigningCertURL: undefined },
    'the signature of another message': { ...signed, Message: JSON.stringify(complaint) },
    'an unsigned subscription': envelope('x', { Type: 'SubscriptionConfirmation', Token: 'x' }),
    'an unsigned greeting': envelope('Successfully validated SNS topic for Amazon SES'),
  })) {
    const answer = await postJson(body);
    t.deepEqual([answer.status, answer.body['code']], [403, 'untrusted_message'], why);
  }
  t.deepEqual(await eventsOf(providerId), []);
  t.is(await suppressionOf(email), undefined);
  t.deepEqual((await postJson(signed)).body, { result: 'recorded' });
  t.deepEqual((await postJson(signed)).body, { result: 'again' });
});

test('JSON in UTF-8 is taken however its type is written; what else it says is at fault', async (t) => {
  const { sentMail, post } = await openSesFixture(t, context);
  const { id, email, providerId } = await sentMail();
  const text = JSON.stringify(deliveryOf(mailObject(providerId, id), email));
  for (const type of [
    'application/json; charset=utf8',
    'application/json;charset="UTF-8";',
    'APPLICATION/JSON; x=y',
  ])
    t.is((await post(`\ufeff${text}`, { 'content-type': type })).status, 200, type);
  for (const [headers, detail] of [
    [{ 'content-type': 'application/json; charset=latin1' }, /charset `latin1`/],
    [{ 'content-type': 'text/plain' }, /Content-Type: application\/json/],
    [{ 'content-encoding': 'gzip' }, /content coding `gzip`/],
  ] as const) {
    const answer = await post(text, headers);
    t.is(answer.status, 415);
    t.regex(String(answer.body['detail']), detail);
  }
});

test('a time is ISO 8601 with its zone, and a plausible one', async (t) => {
  const { sentMail, postJson, eventsOf } = await openSesFixture(t, context);
  const { id, email, providerId } = await sentMail();
  const event = deliveryOf(mailObject(providerId, id), email);
  const at = (timestamp: string) => ({ ...event, delivery: { ...event.delivery, timestamp } });
  for (const time of [
    ...['yesterday', '', '5', '2026', '2026-11-22', 'Sun Nov 29 2026', '2026-11-22T12:00:00.000'],
    ...['2026-02-30T12:00:00.000Z', '2026-11-22T25:00:00Z', '2026-11-22T12:00:00+99:00'],
    ...['-271821-04-20T00:00:00.000Z', '+275760-09-13T00:00:00.000Z', '0001-01-01T00:00:00Z'],
    ...['1999-12-31T23:59:59.999Z', '2100-01-01T00:00:00Z'],
  ]) {
    t.is((await postJson(at(time))).status, 400, time);
    const mail = { ...event.mail, timestamp: time };
    t.is((await postJson({ ...event, mail })).status, 400, `of the mail: ${time}`);
  }
  t.deepEqual(await eventsOf(providerId), []);
  for (const time of ['2026-11-22T12:00:00Z', '2026-11-22T14:30:00.5+02:00'])
    t.deepEqual((await postJson(at(time))).body, { result: 'recorded' }, time);
  const times = (await eventsOf(providerId)).map((row) => row.at.toISOString());
  t.deepEqual(times, ['2026-11-22T12:00:00.000Z', '2026-11-22T12:30:00.500Z']);
});

test('what cannot be read is 400, so that it ends in the dead-letter queue', async (t) => {
  const { post } = await openSesFixture(t, context);
  const mail = mailObject('0100-x');
  for (const body of [
    '',
    'not json',
    '{"eventType":',
    'null',
    '[]',
    '"Bounce"',
    '{}',
    '{"eventType":7}',
    JSON.stringify({ eventType: 'Bounce', mail }),
    JSON.stringify({ eventType: 'Bounce', mail, bounce: { bounceType: 'Permanent' } }),
    JSON.stringify({ ...bounceOf(mail, 'a@b.test'), mail: {} }),
    JSON.stringify({ Type: 'Notification' }),
    JSON.stringify(envelope('{}', { Type: 'Else' })),
    JSON.stringify(envelope('not json')),
    JSON.stringify(envelope('{}')),
    new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
  ]) {
    const answer = await post(body);
    t.is(answer.status, 400, String(body));
    t.is(answer.type, 'application/problem+json');
    t.is(answer.body['code'], 'malformed_request');
  }
});

test('too large is 413, another media type 415', async (t) => {
  const { post } = await openSesFixture(t, context);
  const event = (length: number) => JSON.stringify({ eventType: 'Send', x: 'y'.repeat(length) });
  t.is((await post(event(256 * 1_024 - 40))).status, 200);
  t.is((await post(event(256 * 1_024))).status, 413);
  t.is((await post(event(1), { 'content-type': 'text/plain' })).status, 415);
  t.is((await post(event(1), { 'content-encoding': 'gzip' })).status, 415);
  t.is((await post(event(1), { 'content-type': 'application/json; charset=utf-8' })).status, 200);
});

test('without PostgreSQL the answer is 503, so that the daemon comes again', async (t) => {
  const { postJson } = await openSesFixture(t, context, {
    databaseUrl: 'postgres://nobody:x@127.0.0.1:1/none',
  });
  const answer = await postJson(bounceOf(mailObject('0100-x'), 'a@b.test'));
  t.is(answer.status, 503);
  t.is(answer.body['code'], 'unavailable');
});
