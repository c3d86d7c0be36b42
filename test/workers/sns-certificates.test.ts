import { createServer, type RequestListener } from 'node:http';
import test from 'ava';
import { closeServer, listen } from '../../shared/lifecycle/http-server.js';
import {
  fetchCertificate,
  isCertificateOfSns,
} from '../../workers/mail/ses-events/sns-signature.js';
import { shareProcess, useContext, type Scope } from '../helpers/context.js';
import {
  bounceOf,
  createSigner,
  deliveryOf,
  envelope,
  mailObject,
  NOTIFICATION,
  openSesFixture,
} from './ses-fixture.js';

shareProcess();

const context = useContext();

const signer = createSigner();

const topicIn = (region: string, partition = 'aws'): string =>
  `arn:${partition}:sns:${region}:123456789012:ses-events`;

test('a certificate is taken from SNS alone, over TLS', (t) => {
  for (const [url, topic] of [
    [
      'https://sns.us-east-1.amazonaws.com/SimpleNotificationService-7506a1e35b36ef5a444dd1a8e7cc3ed8.pem',
      topicIn('us-east-1'),
    ],
    ['https://sns.cn-north-1.amazonaws.com.cn/a.pem', topicIn('cn-north-1', 'aws-cn')],
    ['https://sns.us-gov-west-1.amazonaws.com/a.pem', topicIn('us-gov-west-1', 'aws-us-gov')],
    ['https://SNS.ap-southeast-2.amazonaws.com:443/a.pem', topicIn('ap-southeast-2')],
  ] as const)
    t.true(isCertificateOfSns(url, topic), url);
  for (const url of [
    'http://sns.us-east-1.amazonaws.com/a.pem',
    'https://sns.us-east-1.amazonaws.com/a.pem?x=1',
    'https://sns.us-east-1.amazonaws.com/a.txt',
    'https://sns.us-east-1.amazonaws.com:444/a.pem',
    'https://u:p@sns.us-east-1.amazonaws.com/a.pem',
    'https://sns.us-east-1.amazonaws.com.evil.test/a.pem',
    'https://evil.test/sns.us-east-1.amazonaws.com/a.pem',
    'https://s3.us-east-1.amazonaws.com/bucket/a.pem',
    'https://x.sns.us-east-1.amazonaws.com/a.pem',
    'https://sns.a.b.amazonaws.com/a.pem',
    'file:///a.pem',
    'nonsense',
    '',
  ])
    t.false(isCertificateOfSns(url, topicIn('us-east-1')), url);
});

test('a certificate is taken from the region of the topic, and no bucket of S3 passes for a region', (t) => {
  for (const [host, topic] of [
    ['sns.s3-us-west-2.amazonaws.com', topicIn('us-west-2')],
    ['sns.s3-us-west-2.amazonaws.com', topicIn('s3-us-west-2')],
    ['sns.s3-website-us-east-1.amazonaws.com', topicIn('s3-website-us-east-1')],
    ['sns.s3.amazonaws.com', topicIn('s3')],
    ['sns.s3-accelerate.amazonaws.com', topicIn('s3-accelerate')],
    ['sns.s3.us-west-2.amazonaws.com', topicIn('s3.us-west-2')],
    ['sns.s3.us-west-2.amazonaws.com', topicIn('us-west-2')],
    ['sns.us-west-2.amazonaws.com', topicIn('eu-west-1')],
    ['sns.eu-west-1.amazonaws.com.cn', topicIn('eu-west-1')],
    ['sns.cn-north-1.amazonaws.com', topicIn('cn-north-1', 'aws-cn')],
    ['sns.cn-north-1.amazonaws.com.cn', topicIn('cn-north-1')],
    ['sns.eu-west-1.amazonaws.com.evil.test', topicIn('eu-west-1')],
    ['sns-eu-west-1.amazonaws.com', topicIn('eu-west-1')],
    ['sns.eu-west-1.amazonaws.com.', topicIn('eu-west-1')],
    ['sns.eu-west-1.amazonaws.com', topicIn('eu-west-1', 'aws-else')],
    ['sns.eu-west-1.amazonaws.com', 'arn:aws:sqs:eu-west-1:123456789012:q'],
    ['sns.eu-west-1.amazonaws.com', 'eu-west-1'],
    ['sns.eu-west-1.amazonaws.com', ''],
  ] as const)
    t.false(isCertificateOfSns(`https://${host}/x.pem`, topic), `${host} for ${topic}`);
});

test('a message whose topic or certificate names a bucket called "sns" is 403, and nothing is fetched', async (t) => {
  const fetched: string[] = [];
  const { postJson } = await openSesFixture(t, context, {
    fetchCertificate: async (url) => {
      fetched.push(url);
      return signer.pem;
    },
  });
  const event = deliveryOf(mailObject('0100-x'), 'a@b.test');
  for (const region of ['us-west-2', 's3-us-west-2']) {
    const bad = signer.sign(
      envelope(event, { TopicArn: topicIn(region) }),
      '2',
      NOTIFICATION,
      'https://sns.s3-us-west-2.amazonaws.com/x.pem',
    );
    t.is((await postJson(bad)).status, 403, region);
  }
  t.deepEqual(fetched, []);
});

test('a certificate that cannot be had now is 503, and asked for again with the next message', async (t) => {
  let isDown = true;
  const { sentMail, postJson } = await openSesFixture(t, context, {
    async fetchCertificate() {
      if (isDown) throw new Error('out of reach');
      return signer.pem;
    },
  });
  const { id, email, providerId } = await sentMail();
  const good = signer.sign(
    envelope(bounceOf(mailObject(providerId, id), email)),
    '2',
    NOTIFICATION,
  );
  t.is((await postJson(good)).status, 503);
  isDown = false;
  t.is((await postJson(good)).status, 200);
});

test('a certificate is taken within its validity only, in the cache too, and fetched again when it has expired', async (t) => {
  const dates = ['2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z', '2028-01-01T00:00:00Z'] as const;
  const [from, to, renewedTo] = dates.map((date) => new Date(date)) as [Date, Date, Date];
  const inSeconds = (date: Date, seconds: number): number => date.getTime() + seconds * 1_000;
  let time = inSeconds(from, -1);
  let fetched = 0;
  const { sentMail, postJson, eventsOf, lines } = await openSesFixture(t, context, {
    now: () => time,
    fetchCertificate: async () => {
      fetched += 1;
      return signer.certificateFor({ from, to: fetched < 3 ? to : renewedTo });
    },
  });
  const { id, email, providerId } = await sentMail();
  const event = deliveryOf(mailObject(providerId, id), email);
  const good = signer.sign(envelope(event), '2', NOTIFICATION);
  const refused = async (reason: string) => {
    const { status, body } = await postJson(good);
    t.deepEqual([status, body['code']], [403, 'untrusted_message'], reason);
    t.like(lines.at(-1), { msg: 'SQS message rejected', err: { message: reason } });
  };
  await refused('the certificate is not valid yet');
  t.deepEqual(await eventsOf(providerId), []);

  time = inSeconds(from, 0);
  t.is((await postJson(good)).status, 200);
  time = inSeconds(to, 0);
  t.is((await postJson(good)).status, 200);
  t.is(fetched, 2);

  time = inSeconds(to, 1);
  await refused('the certificate has expired');
  t.is(fetched, 2, 'it was in the cache');
  t.is((await postJson(good)).status, 200, 'the renewed one');
  t.is(fetched, 3);
  time = inSeconds(renewedTo, 1);
  await refused('the certificate has expired');
});

test('a certificate is bounded in size, and no redirection is followed', async (t) => {
  const at = (listener: RequestListener) => serve(t, listener);
  t.is(await fetchCertificate(await at((_, res) => res.end('PEM'))), 'PEM');
  const large = await at((_, res) => res.end('x'.repeat(33 * 1_024)));
  await t.throwsAsync(fetchCertificate(large), { message: /too large/ });
  const missing = await at((_, res) => res.writeHead(404).end());
  await t.throwsAsync(fetchCertificate(missing), { message: /404/ });
  const elsewhere = await at((_, res) => res.writeHead(302, { Location: large }).end());
  await t.throwsAsync(fetchCertificate(elsewhere));
});

async function serve(scope: Scope, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  const port = await listen(server, 0, '127.0.0.1');
  scope.teardown(() => closeServer(server, 100));
  return `http://127.0.0.1:${port}/a.pem`;
}
