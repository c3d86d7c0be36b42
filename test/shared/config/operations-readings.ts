import { api, badHosts, badTexts, badUrlsOf, goodHosts, worker, type Reading } from './reading.js';

/** How the variables of operators, metrics, alerts and traces are read. */
export const operationsReadings = {
  OPERATOR_EMAILS: {
    read: (text) => api({ OPERATOR_EMAILS: text }).operatorEmails,
    good: [
      [undefined, []],
      ['a@b.test, c@d.test ', ['a@b.test', 'c@d.test']],
    ],
    bad: ['nobody', 'a@b.test; c@d.test'],
  },
  OPS_READONLY_EMAILS: {
    read: (text) => api({ OPS_READONLY_EMAILS: text }).readonlyEmails,
    good: [
      [undefined, []],
      ['a@b.test, c@d.test ', ['a@b.test', 'c@d.test']],
    ],
    bad: ['nobody'],
  },
  HEALTHD_DIR: {
    read: (text) => api({ HEALTHD_DIR: text }).healthdDir,
    good: [
      [undefined, undefined],
      ['/var/log/healthd', '/var/log/healthd'],
    ],
    bad: badTexts,
  },
  OPS_PORT: {
    read: (text) => api({ OPS_PORT: text }).opsListener,
    good: [
      [undefined, undefined],
      ['9000', { host: '127.0.0.1', port: 9_000 }],
      ['0', { host: '127.0.0.1', port: 0 }],
    ],
    bad: ['65536', 'nine', '5000'],
  },
  OPS_HOST: {
    read: (text) => api({ OPS_HOST: text, OPS_PORT: '1' }).opsListener?.host,
    good: [[undefined, '127.0.0.1'], ...goodHosts],
    bad: badHosts,
  },
  ALERT_EMAILS: {
    read: (text) => worker({ ALERT_EMAILS: text }).alerts.emails,
    good: [
      [undefined, []],
      ['a@b.test, c@d.test ', ['a@b.test', 'c@d.test']],
    ],
    bad: ['nobody'],
  },
  ALERT_WEBHOOK_URL: {
    read: (text) => api({ ALERT_WEBHOOK_URL: text }).alerts.webhookUrl,
    good: [
      [undefined, undefined],
      ['https://hooks.test/a?b=c', 'https://hooks.test/a?b=c'],
    ],
    bad: [
      ...badUrlsOf('https://'),
      'hooks.test',
      'ftp://hooks.test/',
      'https://user@hooks.test/',
      'https://hooks.test/#a',
    ],
  },
  CONSOLE_URL: {
    read: (text) =>
      worker({ CONSOLE_URL: text, PUBLIC_URL: 'https://users.test' }).alerts.runbookUrl,
    good: [
      [undefined, 'https://users.test/ops/runbook'],
      ['https://ops.test/ops/', 'https://ops.test/ops/runbook'],
    ],
    bad: [...badUrlsOf('https://'), 'ops.test/ops'],
  },
  HEARTBEAT_URL: {
    read: (text) => worker({ HEARTBEAT_URL: text }).alerts.heartbeatUrl,
    good: [
      [undefined, undefined],
      ['https://beats.test/a', 'https://beats.test/a'],
    ],
    bad: [...badUrlsOf('https://'), 'beats.test', 'https://user:password@beats.test/'],
  },
  METRICS_TOKEN: {
    read: (text) => worker({ METRICS_TOKEN: text }).metricsToken,
    good: [
      [undefined, undefined],
      ['t,0-k.e_n', 't,0-k.e_n'],
    ],
    bad: [...badTexts, 'a token', 'jeton-très-secret'],
  },
  METRICS_CLOUDWATCH_NAMESPACE: {
    read: (text) =>
      worker({ METRICS_CLOUDWATCH_NAMESPACE: text, AWS_REGION: 'eu-west-1' }).cloudWatch,
    good: [
      [undefined, undefined],
      [
        'Rollcall/a.b_c#d-1',
        {
          namespace: 'Rollcall/a.b_c#d-1',
          environment: 'development',
          region: 'eu-west-1',
          credentials: undefined,
        },
      ],
    ],
    bad: ['AWS/EC2', ':a', 'a b', 'a\nb', 'a'.repeat(256)],
  },
  METRICS_CLOUDWATCH_ENVIRONMENT: {
    read: (text) =>
      worker({
        METRICS_CLOUDWATCH_NAMESPACE: 'Rollcall',
        METRICS_CLOUDWATCH_ENVIRONMENT: text,
        APP_ENV: 'staging',
        AWS_REGION: 'eu-west-1',
      }).cloudWatch?.environment,
    good: [
      [undefined, 'staging'],
      ['rollcall-production-worker', 'rollcall-production-worker'],
    ],
    bad: ['a b', 'ü', 'a'.repeat(256)],
  },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    read: (text) => worker({ OTEL_EXPORTER_OTLP_ENDPOINT: text }).tracesUrl,
    good: [
      [undefined, undefined],
      ['http://127.0.0.1:4318', 'http://127.0.0.1:4318/'],
    ],
    bad: [...badUrlsOf('http://'), 'collector:4318', 'grpc://collector:4317'],
  },
} as const satisfies Record<string, Reading>;
