import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { randomSecret } from '../../helpers/env.js';
import {
  api,
  badHosts,
  badPorts,
  badTexts,
  badUrls,
  badUrlsOf,
  base,
  goodHosts,
  worker,
  type Reading,
} from './reading.js';

const withStream = {
  ...base,
  FIREHOSE_DELIVERY_STREAM: 'stream',
  AWS_REGION: 'eu-west-1',
  AWS_KEY: 'key',
  AWS_SECRET: 'secret',
};

const MIB = 1_024 * 1_024;

const production = {
  NODE_ENV: 'production',
  PUBLIC_URL: 'https://rollcall.test',
  SECRET_KEY: randomSecret(),
  PASSWORD_PEPPER: randomSecret(),
};

/** One that only the SDK reads. */
const endpoint = (name: string): Reading => ({
  read: (text) => void worker({ ...withStream, [name]: text }),
  good: ['http://127.0.0.1:4573', 'https://firehose.eu-west-1.amazonaws.com'].map(
    (url) => [url, undefined] as const,
  ),
  bad: [...badUrls, ...badUrlsOf('https://'), 'file:///etc/hostname'],
});

/** How the variables of outgoing mail and of the log stream are read. */
export const mailAndStreamReadings = {
  MAIL_HOST: {
    read: (text) => worker({ MAIL_HOST: text }).mail.host,
    good: [['smtp', 'smtp'], ...goodHosts],
    bad: badHosts,
  },
  MAIL_PORT: {
    read: (text) => {
      const { port, tls } = worker({ MAIL_PORT: text }).mail;
      return [port, tls];
    },
    good: [
      [undefined, [587, 'optional']],
      ['465', [465, 'implicit']],
      ['2525', [2525, 'optional']],
    ],
    bad: [...badPorts, '0'],
  },
  MAIL_USERNAME: {
    read: (text) => worker({ MAIL_USERNAME: text, MAIL_PASSWORD: 'p' }).mail.credentials,
    good: [['u', { username: 'u', password: 'p' }]],
    bad: badTexts,
  },
  MAIL_PASSWORD: {
    read: (text) => worker({ MAIL_USERNAME: 'u', MAIL_PASSWORD: text }).mail.credentials,
    good: [['p', { username: 'u', password: 'p' }]],
    bad: badTexts,
  },
  MAIL_FROM: {
    read: (text) => {
      const { name, address } = worker({ MAIL_FROM: text }).mail.from;
      return [name, address];
    },
    good: [
      ['a@b.test', ['Rollcall', 'a@b.test']],
      ['<a@b.test>', ['Rollcall', 'a@b.test']],
      ['The Roll Call <a@b.test>', ['The Roll Call', 'a@b.test']],
      ['Acme, Inc. <a@b.test>', ['Acme, Inc.', 'a@b.test']],
      ['"Acme, Inc." <a@b.test>', ['Acme, Inc.', 'a@b.test']],
      [String.raw`"The \"Roll\" \\ Call"<a@b.test>`, [String.raw`The "Roll" \ Call`, 'a@b.test']],
      ['"<Roll> " <a@b.test>', ['<Roll>', 'a@b.test']],
      ['"" <a@b.test>', ['Rollcall', 'a@b.test']],
    ],
    bad: [
      'nobody',
      'a@',
      'a b@c.test',
      'N <a@b.test',
      'a@b.test>',
      'N <a@b.test>\r\nBcc: x@y.test',
      ...['"N <a@b.test>', 'N" <a@b.test>', '"N" M <a@b.test>', '"N" a@b.test', '"N\\" <a@b.test>'],
      ...['"N\nM" <a@b.test>', 'N\u001b <a@b.test>', '"N\\\n" <a@b.test>', 'N <a@b.test>\n'],
      'a@b.test, c@d.test',
    ],
  },
  MAIL_RATE: {
    read: (text) => worker({ MAIL_RATE: text }).mail.ratePerSecond,
    good: [
      [undefined, 14],
      ['1', 1],
      ['100000', 100_000],
    ],
    bad: ['0', '-1', '1.5', '100001', 'fast'],
  },
  MAIL_CONNECTIONS: {
    read: (text) => worker({ MAIL_CONNECTIONS: text }).mail.connections,
    good: [
      [undefined, undefined],
      ['1', 1],
      ['100', 100],
    ],
    bad: ['0', '-1', '1.5', '101', 'many'],
  },
  MAIL_EHLO_NAME: {
    read: (text) => worker({ MAIL_EHLO_NAME: text }).mail.ehloName,
    good: [
      [undefined, undefined],
      ['mail.rollcall.example', 'mail.rollcall.example'],
      ['localhost', 'localhost'],
      ['[192.0.2.1]', '[192.0.2.1]'],
      ['[IPv6:2001:db8::1]', '[IPv6:2001:db8::1]'],
    ],
    bad: [
      'with space',
      '192.0.2.1',
      '[mail.rollcall.example]',
      '[IPv6:192.0.2.1]',
      '-a.example',
      'a..example',
      'a_b.example',
      `${'a'.repeat(64)}.example`,
      'a.example\r\nMAIL FROM:<x@y.test>',
    ],
  },
  MAIL_CONFIGURATION_SET: {
    read: (text) => worker({ MAIL_CONFIGURATION_SET: text }).mail.configurationSet,
    good: [
      [undefined, undefined],
      ['rollcall-events_1', 'rollcall-events_1'],
    ],
    bad: ['with space', 'a'.repeat(65), 'line\nbreak'],
  },
  SES_TOPIC_ARN: {
    read: (text) => worker({ SES_TOPIC_ARN: text }).sesTopicArn,
    good: [
      [undefined, undefined],
      [
        'arn:aws:sns:eu-west-1:123456789012:ses-events',
        'arn:aws:sns:eu-west-1:123456789012:ses-events',
      ],
      ['arn:aws-cn:sns:cn-north-1:123456789012:e', 'arn:aws-cn:sns:cn-north-1:123456789012:e'],
    ],
    bad: [
      'ses-events',
      'arn:aws:sqs:eu-west-1:123456789012:ses-events',
      'arn:aws:sns:eu-west-1:1:x',
    ],
  },
  FIREHOSE_DELIVERY_STREAM: {
    read: (text) => [
      api({ FIREHOSE_DELIVERY_STREAM: text }).spool !== undefined,
      worker({ ...withStream, FIREHOSE_DELIVERY_STREAM: text }).firehose?.stream,
    ],
    good: [
      [undefined, [false, undefined]],
      ['a.b-c_d', [true, 'a.b-c_d']],
    ],
    bad: ['with space', 'a/b', 'a'.repeat(65)],
  },
  SPOOL_DIR: {
    read: (text) => {
      const env = { ...withStream, SPOOL_DIR: text };
      return [api(env).spool?.dir, worker(env).spool?.dir];
    },
    good: [
      [undefined, [resolve('.local/spool'), resolve('.local/spool')]],
      ['/var/spool/x', ['/var/spool/x', '/var/spool/x']],
      ['x', [resolve('x'), resolve('x')]],
    ],
    bad: badTexts,
  },
  SPOOL_MAX_MIB: {
    read: (text) => api({ ...withStream, SPOOL_MAX_MIB: text }).spool?.maxBytes,
    good: [
      [undefined, 256 * MIB],
      ['1', MIB],
      ['1000000', 1_000_000 * MIB],
    ],
    bad: ['0', '-1', '1.5', '1000001', '1G'],
  },
  XDG_STATE_HOME: {
    read: (text) => api({ ...withStream, ...production, XDG_STATE_HOME: text }).spool?.dir,
    good: [
      [undefined, join(homedir(), '.local/state/rollcall/spool')],
      ['/state', '/state/rollcall/spool'],
      ['relative', join(homedir(), '.local/state/rollcall/spool')],
    ],
    bad: badTexts,
  },
  AWS_REGION: {
    read: (text) => worker({ ...withStream, AWS_REGION: text }).firehose?.region,
    good: ['ap-southeast-2', 'us-gov-west-1', 'us-isob-east-1', 'eusc-de-east-1'].map(
      (region) => [region, region] as const,
    ),
    bad: ['EU', 'eu west', 'evil.test/', '-', 'europe', 'ap-south', 'ap-south-1a', 'EU-WEST-1'],
  },
  AWS_ENDPOINT_URL: endpoint('AWS_ENDPOINT_URL'),
  AWS_ENDPOINT_URL_FIREHOSE: endpoint('AWS_ENDPOINT_URL_FIREHOSE'),
  AWS_ENDPOINT_URL_CLOUDWATCH: endpoint('AWS_ENDPOINT_URL_CLOUDWATCH'),
  AWS_KEY: {
    read: (text) => worker({ ...withStream, AWS_KEY: text }).firehose?.credentials,
    good: [['k', { accessKeyId: 'k', secretAccessKey: 'secret' }]],
    bad: badTexts,
  },
  AWS_SECRET: {
    read: (text) => worker({ ...withStream, AWS_SECRET: text }).firehose?.credentials,
    good: [['s', { accessKeyId: 'key', secretAccessKey: 's' }]],
    bad: badTexts,
  },
} as const satisfies Record<string, Reading>;
