import { randomUUID } from 'node:crypto';
import test from 'ava';
import { historyParts } from '../../api/console/mail/mail-history.pages.js';
import { liftSuppression } from '../../api/ops/mail/suppressions.service.js';
import { readMailHistory } from '../../api/ops/mail/mail-timeline.service.js';
import { describeHistory } from '../../cli/commands/mail-text.js';
import { sesEventsFor } from '../../dev/emulators/ses-events.js';
import { parseEmailAddress } from '../../shared/identity/email-address.js';
import { shareProcess, useContext } from '../helpers/context.js';
import {
  bounceOf,
  complaintOf,
  deliveryOf,
  envelope,
  mailObject,
  openSesFixture,
} from './ses-fixture.js';

shareProcess();

const context = useContext();

test('a delivery is recorded with what the server said, and suppresses nobody', async (t) => {
  const { sentMail, postJson, eventsOf, suppressionOf } = await openSesFixture(t, context);
  const { id, email, providerId } = await sentMail();
  const answer = await postJson(envelope(deliveryOf(mailObject(providerId, id), email)));
  t.deepEqual([answer.status, answer.body], [200, { result: 'recorded' }]);
  const [event, ...others] = await eventsOf(providerId);
  t.is(others.length, 0);
  t.like(event, { outbox_id: id, type: 'delivered', subtype: null, detail: '250 2.6.0 taken' });
  t.is(event?.at.toISOString(), '2026-11-22T12:00:00.000Z');
  t.is(await suppressionOf(email), undefined);
});

test('a permanent bounce suppresses the promised address, and the audit and the log hear of it', async (t) => {
  const fixture = await openSesFixture(t, context);
  const { id, email, adminId, providerId } = await fixture.sentMail();
  const spelled = `"Somebody" <${email.toUpperCase()}>`;
  const answer = await fixture.postJson(envelope(bounceOf(mailObject(providerId, id), spelled)), {
    'x-request-id': 'bounce-request-1',
  });
  t.is(answer.status, 200);
  const [event] = await fixture.eventsOf(providerId);
  t.like(event, { outbox_id: id, type: 'bounced', subtype: 'Permanent/NoEmail' });
  t.is(event?.detail, 'smtp; 550 5.1.1 <"Somebody" <[address]>>: no such user');
  t.deepEqual(await fixture.suppressionOf(email), { reason: 'bounce', event_id: event?.id ?? '' });
  t.deepEqual(await fixture.auditOf(adminId), [
    {
      event: 'email_suppressed',
      details: { reason: 'bounce', outbox_id: id },
      request_id: 'bounce-request-1',
    },
  ]);
  const [mail] = await context.rows('select trace_id from outbox where id = $1', [id]);
  t.like(
    fixture.lines.find(({ msg }) => msg === 'mail event'),
    { 'labels.outbox_id': id, 'trace.id': mail?.['trace_id'] },
  );
  t.false(JSON.stringify(fixture.lines).toLowerCase().includes(email));
});

for (const type of ['Transient/MailboxFull', 'Undetermined/Undetermined']) {
  test(`a bounce that is ${type} is recorded only`, async (t) => {
    const { sentMail, postJson, eventsOf, suppressionOf } = await openSesFixture(t, context);
    const { id, email, providerId } = await sentMail();
    t.is((await postJson(bounceOf(mailObject(providerId, id), email, type))).status, 200);
    t.like((await eventsOf(providerId))[0], { type: 'bounced', subtype: type });
    t.is(await suppressionOf(email), undefined);
  });
}

for (const [feedback, subtype] of [
  ['abuse', 'abuse'],
  [null, null],
] as const) {
  test(`a complaint (${feedback ?? 'without a word'}) suppresses until it is taken back`, async (t) => {
    const { sentMail, postJson, eventsOf, suppressionOf, auditOf } = await openSesFixture(
      t,
      context,
    );
    const { id, email, adminId, providerId } = await sentMail();
    const mail = mailObject(providerId, id);
    t.is((await postJson(complaintOf(mail, email, feedback))).status, 200);
    t.like((await eventsOf(providerId))[0], { type: 'complained', subtype });
    t.like(await suppressionOf(email), { reason: 'complaint' });
    t.is((await postJson(complaintOf(mail, email, 'not-spam'))).status, 200);
    t.is(await suppressionOf(email), undefined);
    const details = { reason: 'complaint', outbox_id: id };
    t.like(await auditOf(adminId), [
      { event: 'email_suppressed', details },
      { event: 'email_suppression_lifted', details },
    ]);
  });
}

test('a complaint that was taken back is told as that, and as no operator’s decision', async (t) => {
  const { database, sentMail, postJson } = await openSesFixture(t, context);
  const { id, email, providerId } = await sentMail();
  await context.rows(`update outbox set outcome = 'sent' where id = $1`, [id]);
  const mail = mailObject(providerId, id);
  const told = async () => {
    const history = await readMailHistory({ database }, id);
    if (!history) throw new Error('the mail has no history');
    const page = historyParts(history, true).map(({ html }) => html.text);
    return { text: describeHistory(history).join('\n'), page: page.join('\n') };
  };
  await postJson(complaintOf(mail, email, 'abuse'));
  t.regex((await told()).page, /sent, reported as spam/);
  await postJson(complaintOf(mail, email, 'not-spam'));
  const { text, page } = await told();
  t.regex(text, /the recipient withdrew the complaint, and the suppression was lifted$/m);
  t.regex(page, /The recipient withdrew the complaint[^]*The suppression was lifted/);
  for (const shown of [text, page]) t.notRegex(shown, /operator/i);
  t.notRegex(page, /sent, reported as spam/);
});

test('whatever order a complaint and its withdrawal arrive in, the later one counts', async (t) => {
  const { sentMail, postJson, suppressionOf } = await openSesFixture(t, context);
  const { id, email, providerId } = await sentMail();
  const complaint = (feedback: string, time: string) =>
    postJson(complaintOf(mailObject(providerId, id), email, feedback, `2026-11-22T${time}:00Z`));
  await complaint('not-spam', '12:20');
  await complaint('abuse', '12:10');
  t.is(await suppressionOf(email), undefined);
  await complaint('abuse', '12:30');
  t.like(await suppressionOf(email), { reason: 'complaint' });
  await complaint('not-spam', '12:25');
  t.like(await suppressionOf(email), { reason: 'complaint' });
});

test('a bounce from before an operator readmitted the address does not suppress it again', async (t) => {
  const { database, audit, sentMail, postJson, suppressionOf } = await openSesFixture(t, context);
  const { id, email, providerId } = await sentMail();
  const mail = mailObject(providerId, id);
  await postJson(bounceOf(mail, email));
  const address = parseEmailAddress(email);
  if (!address) throw new Error(`${email} is no address`);
  await liftSuppression({ database, audit }, address, { traceId: id, requestId: id });
  await postJson(bounceOf(mail, email, 'Permanent/General'));
  t.is(await suppressionOf(email), undefined);
  const later = new Date(Date.now() + 60_000).toISOString();
  await postJson(bounceOf(mail, email, 'Permanent/NoEmail', later));
  t.like(await suppressionOf(email), { reason: 'bounce' });
});

test('taking a complaint back does not lift a bounce', async (t) => {
  const { sentMail, postJson, suppressionOf } = await openSesFixture(t, context);
  const { id, email, providerId } = await sentMail();
  const mail = mailObject(providerId, id);
  await postJson(bounceOf(mail, email));
  await postJson(complaintOf(mail, email, 'not-spam'));
  t.like(await suppressionOf(email), { reason: 'bounce' });
});

test('a complaint after a bounce takes its place, and a later bounce does not', async (t) => {
  const { sentMail, postJson, suppressionOf } = await openSesFixture(t, context);
  const { id, email, providerId } = await sentMail();
  const mail = mailObject(providerId, id);
  await postJson(bounceOf(mail, email));
  await postJson(complaintOf(mail, email, 'abuse'));
  t.like(await suppressionOf(email), { reason: 'complaint' });
  await postJson(bounceOf(mail, email, 'Permanent/General'));
  t.like(await suppressionOf(email), { reason: 'complaint' });
});

test('delays and rejections are recorded only', async (t) => {
  const { sentMail, postJson, eventsOf, suppressionOf } = await openSesFixture(t, context);
  const { id, email, providerId } = await sentMail();
  const mail = mailObject(providerId, id);
  const delayedRecipients = [{ emailAddress: email, status: '4.4.1' }];
  const deliveryDelay = {
    delayType: 'IPFailure',
    timestamp: '2026-11-22T12:00:00.000Z',
    expirationTime: '2026-11-22T14:00:00.000Z',
    delayedRecipients,
  };
  t.is((await postJson({ eventType: 'DeliveryDelay', mail, deliveryDelay })).status, 200);
  t.is(
    (await postJson({ eventType: 'Reject', mail, reject: { reason: 'Bad content' } })).status,
    200,
  );
  const [rejected, delayed] = await eventsOf(providerId);
  t.like(delayed, { type: 'delayed', subtype: 'IPFailure', detail: '4.4.1', outbox_id: id });
  t.like(rejected, { type: 'rejected', subtype: null, detail: 'Bad content', outbox_id: id });
  t.is(rejected?.at.toISOString(), '2026-11-22T11:59:00.000Z', "the mail's own time");
  t.is(await suppressionOf(email), undefined);
});

test('an identity says `notificationType`; without a tag the mail is found by the id that SES gave it', async (t) => {
  const { sentMail, postJson, eventsOf, suppressionOf } = await openSesFixture(t, context);
  const { id, email, providerId } = await sentMail();
  const { eventType, ...rest } = bounceOf(mailObject(providerId), email);
  const event = { notificationType: eventType, ...rest, unheard: { of: [1] } };
  t.is((await postJson(event)).status, 200);
  t.like((await eventsOf(providerId))[0], { outbox_id: id });
  t.like(await suppressionOf(email), { reason: 'bounce' });
});

test('what says nothing about delivery is answered with 200 and recorded as nothing', async (t) => {
  const { sentMail, postJson, eventsOf } = await openSesFixture(t, context);
  const { id, providerId } = await sentMail();
  const mail = mailObject(providerId, id);
  for (const body of [
    { eventType: 'Send', mail, send: {} },
    { eventType: 'Open', mail },
    { eventType: 'Rendering Failure', mail, failure: {} },
    { eventType: 'constructor', mail },
    { eventType: 'SomethingNew' },
    { notificationType: 'AmazonSnsSubscriptionSucceeded', message: 'You have successfully ...' },
    envelope('Successfully validated SNS topic for Amazon SES event publishing.'),
    envelope('Confirm it', {
      Type: 'SubscriptionConfirmation',
      Token: 'x',
      SubscribeURL: 'https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription',
    }),
  ]) {
    const answer = await postJson(body);
    t.deepEqual([answer.status, answer.body], [200, { result: 'ignored' }], JSON.stringify(body));
  }
  t.deepEqual(await eventsOf(providerId), []);
});

test('redelivery changes nothing: by the message of SNS, by that of the queue, by the content', async (t) => {
  const fixture = await openSesFixture(t, context);
  const { id, email, adminId, providerId } = await fixture.sentMail();
  const mail = mailObject(providerId, id);
  const first = envelope(bounceOf(mail, email));
  t.deepEqual((await fixture.postJson(first)).body, { result: 'recorded' });
  await context.rows('delete from suppressions where email_canonical = $1', [email]);
  const sameMessage = { ...first, Message: JSON.stringify(deliveryOf(mail, email)) };
  for (const again of [first, sameMessage, envelope(bounceOf(mail, email)), bounceOf(mail, email)])
    t.deepEqual((await fixture.postJson(again)).body, { result: 'again' });

  const queued = { 'x-aws-sqsd-msgid': randomUUID() };
  t.deepEqual((await fixture.postJson(deliveryOf(mail, email), queued)).body, {
    result: 'recorded',
  });
  const other = bounceOf(mail, email, 'Permanent/General');
  t.deepEqual((await fixture.postJson(other, queued)).body, { result: 'again' });
  t.is((await fixture.eventsOf(providerId)).length, 2);
  t.is(await fixture.suppressionOf(email), undefined);
  t.is((await fixture.auditOf(adminId)).length, 1);
});

test('an event counts though SES knows no words for it', async (t) => {
  const { sentMail, postJson, suppressionOf } = await openSesFixture(t, context);
  const { id, email, providerId } = await sentMail();
  const mail = mailObject(providerId, id);
  const bouncedRecipients = [{ emailAddress: email, status: null, diagnosticCode: null }];
  const bounce = { ...bounceOf(mail, email).bounce, bouncedRecipients };
  const events = [
    { eventType: 'Bounce', mail, bounce },
    {
      eventType: 'Delivery',
      mail,
      delivery: { ...deliveryOf(mail, email).delivery, smtpResponse: null },
    },
    { eventType: 'Reject', mail, reject: { reason: null } },
  ];
  for (const event of events)
    t.deepEqual((await postJson(event)).body, { result: 'recorded' }, event.eventType);
  t.truthy(await suppressionOf(email));
});

test('an empty id of the queue is none: events without one are told apart by their content', async (t) => {
  const { sentMail, postJson, eventsOf } = await openSesFixture(t, context);
  const { id, email, providerId } = await sentMail();
  const mail = mailObject(providerId, id);
  const headers = { 'x-aws-sqsd-msgid': '' };
  for (const event of [deliveryOf(mail, email), complaintOf(mail, email, 'abuse')]) {
    t.deepEqual((await postJson(event, headers)).body, { result: 'recorded' });
    t.deepEqual((await postJson(event, headers)).body, { result: 'again' });
  }
  t.deepEqual(
    (await eventsOf(providerId)).map(({ message_id: messageId }) => messageId),
    [null, null],
  );
});

test('the same event twenty times at once counts once', async (t) => {
  const fixture = await openSesFixture(t, context);
  const { id, email, adminId, providerId } = await fixture.sentMail();
  const event = envelope(bounceOf(mailObject(providerId, id), email));
  const answers = await Promise.all(Array.from({ length: 20 }, () => fixture.postJson(event)));
  t.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  t.is(answers.filter(({ body }) => body['result'] === 'recorded').length, 1);
  t.is((await fixture.eventsOf(providerId)).length, 1);
  t.is((await fixture.auditOf(adminId)).length, 1);
});

test('events about mails that nobody knows are answered with 200 and counted; nothing is kept of them', async (t) => {
  const { postJson, eventsOf, suppressionOf, lines } = await openSesFixture(t, context);
  const providerId = `0100${randomUUID()}`;
  const email = context.uniqueAddress();
  const answer = await postJson(bounceOf(mailObject(providerId, randomUUID()), email));
  t.deepEqual([answer.status, answer.body], [200, { result: 'unknown' }]);
  for (let i = 0; i < 5; i++)
    t.is((await postJson(bounceOf(mailObject(`${providerId}-${i}`), email))).status, 200);
  t.deepEqual(await eventsOf(providerId), []);
  t.deepEqual(await context.rows('select from mail_events where outbox_id is null'), []);
  t.is(await suppressionOf(email), undefined);
  const told = lines.filter(({ msg }) => msg === 'mail event for unknown message');
  t.is(told.length, 1, 'now and then, not for each');
  t.like(told[0], { level: 40, 'labels.events_since_start': 1, 'labels.provider_id': providerId });
});

test('an address to which the mail was not promised is not suppressed, whatever the event names', async (t) => {
  const { sentMail, postJson, suppressionOf } = await openSesFixture(t, context);
  const { id, email, providerId } = await sentMail();
  const victim = context.uniqueAddress('victim');
  const answer = await postJson(bounceOf(mailObject(providerId, id), victim));
  t.deepEqual(answer.body, { result: 'recorded' });
  t.is(await suppressionOf(victim), undefined);
  t.is(await suppressionOf(email), undefined);
});

test('the simulator of the local stack tells the documented stories', (t) => {
  const told = (recipient: string) =>
    sesEventsFor({ recipient, source: 'a@b.test', subject: 's', tags: {} }).map(
      (event) => event['eventType'],
    );
  t.deepEqual(told('ann@example.com'), ['Delivery']);
  t.deepEqual(told('success+a@simulator.amazonses.com'), ['Delivery']);
  t.deepEqual(told('ooto@simulator.amazonses.com'), ['Delivery']);
  t.deepEqual(told('Bounce+1@simulator.amazonses.com'), ['Bounce']);
  t.deepEqual(told('suppressionlist@simulator.amazonses.com'), ['Bounce']);
  t.deepEqual(told('complaint+x+y@simulator.amazonses.com'), ['Delivery', 'Complaint']);
});
