import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { parse } from 'yaml';
import * as z from 'zod';
import { projectRoot } from '../../dev/paths.js';
import { claimPort } from '../../dev/stack/processes/ports.js';
import { redStates } from '../../shared/alerts/red-states.js';
import { openDatabase } from '../../shared/database/connect.js';
import { metricDefinitions, type MetricName } from '../../shared/metrics/catalogue.js';
import { collectStores } from '../../shared/metrics/collect-stores.js';
import { createExposition } from '../../shared/metrics/exposition.js';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { openQueues } from '../../shared/queues/queues.js';
import { useSystem } from '../helpers/api.js';
import { createClient } from '../helpers/api-client.js';
import { useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger } from '../helpers/log.js';
import { parseScrape, scrape } from '../helpers/scrape.js';
import { runApi } from '../helpers/servers.js';

const context = useContext();
const system = useSystem(context);
const names = Object.keys(metricDefinitions) as readonly MetricName[];

test.serial(
  'a scrape of the API and one of a worker have every metric of the catalogue',
  async (t) => {
    // On a machine that is busy with other files a reading may take longer than it may.
    const complete = (url: string) =>
      eventually(async () => {
        const now = await scrape(url);
        return (
          now.types.has('rollcall_outbox_messages') && now.types.has('rollcall_queue_jobs') && now
        );
      });
    const [api, worker] = await Promise.all([
      complete(system.server.url),
      complete(system.worker.url),
    ]);
    for (const name of names) {
      const { process, type } = metricDefinitions[name];
      t.is(api.types.get(name), process === 'worker' ? undefined : type, `${name} of the API`);
      t.is(worker.types.get(name), process === 'api' ? undefined : type, `${name} of the worker`);
      t.regex(
        name,
        type === 'counter' ? /_total$/ : /(?<!_total)$/,
        'OpenMetrics: counters end with _total',
      );
    }
    t.is(
      api.types.size + worker.types.size,
      names.length + names.filter((name) => metricDefinitions[name].process === 'both').length,
    );
  },
);

test.serial('a mail, a request and a log line are counted where they should be', async (t) => {
  const { url } = system.worker;
  const before = await scrape(url);
  const applicant = await system.admins.registerAdmin();
  await system.mailbox.waitForMail(applicant.email, { subject: /confirm/i });
  const LATER = [
    ['rollcall_mail_outcomes_total', { outcome: 'sent' }],
    ['rollcall_mail_delay_seconds_count', {}],
    ['rollcall_smtp_send_seconds_count', { result: 'accepted' }],
    ['rollcall_job_run_seconds_count', { queue: 'mail', result: 'completed' }],
    ['rollcall_job_wait_seconds_count', { queue: 'mail' }],
    ['rollcall_firehose_calls_total', { result: 'accepted' }],
    ['rollcall_firehose_records_total', { result: 'accepted' }],
    ['rollcall_firehose_call_seconds_count', {}],
    ['rollcall_log_lag_seconds_count', {}],
  ] as const;
  const after = await eventually(async () => {
    const now = await scrape(url);
    return (
      LATER.every(([name, labels]) => now.value(name, labels) > before.value(name, labels)) && now
    );
  });
  const more = (name: string, labels = {}): number =>
    after.value(name, labels) - before.value(name, labels);
  t.is(more('rollcall_mail_outcomes_total', { outcome: 'sent' }), 1);
  t.is(more('rollcall_mail_outcomes_total'), 1);
  const delay = more('rollcall_mail_delay_seconds_sum');
  t.true(delay > 0 && delay < 60, `${delay} s from request to mail`);
  t.is(more('rollcall_mail_delay_seconds_bucket', { le: '+Inf' }), 1);
  const api = await scrape(system.server.url);
  t.true(
    api.value('http_server_request_duration_seconds_count', {
      http_route: '/auth/register',
      http_request_method: 'POST',
      http_response_status_code: '202',
    }) >= 1,
  );
  t.true(api.value('rollcall_password_hash_seconds_count') >= 1);
  await fetch(`${system.server.url}/health/ready`);
  for (const route of ['/health/ready', '/metrics'])
    await eventually(async () => {
      const { value } = await scrape(system.server.url);
      return value('http_server_request_duration_seconds_count', { http_route: route }) >= 1;
    });
  t.is(api.value('rollcall_outbox_messages', { state: 'dead' }), 0);
});

test.serial('a rate limit that is hit is counted by its name', async (t) => {
  // With another key the logins of earlier tests don't count.
  const env = { RATE_LIMIT_SCALE: '0.04', SECRET_KEY: 'of this test alone'.padEnd(40, 'x') };
  const { url } = await runApi(context, { scope: t, env });
  const client = createClient(url);
  const statuses: number[] = [];
  for (let i = 0; i < 3; i += 1) {
    const { status } = await client.post('/auth/login', { email: 'a@b.test', password: 'guess' });
    statuses.push(status);
  }
  t.deepEqual(statuses, [401, 429, 429]);
  const api = await scrape(url);
  t.true(api.value('rollcall_rate_limit_hits_total', { limit: 'logins' }) >= 1);
  // When Redis is late, the API counts by itself from then on: the other may be refused by the next limit.
  t.is(api.value('rollcall_rate_limit_hits_total'), 2);
});

test.serial(
  'without PostgreSQL and Redis a scrape answers soon, says what it could not read, and has the rest',
  async (t) => {
    const [postgres, redis] = [await claimPort(0), await claimPort(0)];
    t.teardown(() => Promise.all([postgres.release(), redis.release()]));
    const { log } = createRecordingLogger();
    const database = openDatabase(
      {
        host: '127.0.0.1',
        port: postgres.port,
        name: 'none',
        user: 'nobody',
        password: '',
        poolMax: 1,
        timeoutMs: 2_000,
        ssl: false,
      },
      'test',
    );
    t.teardown(() => database.close());
    const url = `redis://127.0.0.1:${redis.port}`;
    const queues = openQueues({ url, logsUrl: url }, log);
    t.teardown(() => queues.close());
    const metrics = createMetrics('worker');
    collectStores(metrics, { database, queues, spoolUse: () => undefined });
    metrics.collect(['rollcall_smtp_circuit_open'], () => new Promise(() => undefined));
    const expose = createExposition(metrics);
    const [one, other] = await Promise.all([expose(), expose()]);
    t.is(one, other, 'scrapes at once share one reading');
    const { types, value } = parseScrape((await expose()).text);
    for (const name of [
      'rollcall_outbox_messages',
      'rollcall_queue_jobs',
      'rollcall_smtp_circuit_open',
    ]) {
      t.false(types.has(name), name);
      t.true(value('rollcall_metric_read_failures_total', { metric: name }) >= 1, name);
    }
    t.true(types.has('rollcall_mail_outcomes_total'));
    t.is(value('db_client_connection_max', { db_client_connection_pool_name: 'models' }), 1);
  },
);

const AlertRules = z.strictObject({
  groups: z
    .array(
      z.strictObject({
        name: z.string(),
        interval: z.string().regex(/^\d+s$/),
        rules: z
          .array(
            z.strictObject({
              alert: z.string().regex(/^[a-z_]+$/),
              expr: z.string().min(1),
              for: z.string().regex(/^\d+[smh]$/),
              labels: z.strictObject({ severity: z.enum(['critical', 'warning']) }),
              annotations: z.strictObject({
                summary: z.string().min(1),
                description: z.string().regex(/\.$/),
                runbook_url: z.string().regex(/^docs\/runbook\.md#[a-z0-9-]+$/),
              }),
            }),
          )
          .min(1),
      }),
    )
    .min(1),
});

const Target = z.looseObject({ expr: z.string() });
const Dashboard = z.looseObject({
  title: z.literal('Rollcall'),
  annotations: z.object({ list: z.array(Target) }),
  panels: z.array(
    z.looseObject({
      id: z.int(),
      type: z.enum(['row', 'stat', 'timeseries']),
      title: z.string().min(1),
      gridPos: z.strictObject({ h: z.int(), w: z.int(), x: z.int(), y: z.int() }),
      targets: z.array(Target).optional(),
    }),
  ),
});

const readRules = async () =>
  AlertRules.parse(parse(await readFile(join(projectRoot, 'ops/prometheus/alerts.yml'), 'utf8')));
const readDashboard = async () =>
  Dashboard.parse(
    JSON.parse(await readFile(join(projectRoot, 'ops/grafana/rollcall.json'), 'utf8')),
  );

test('each alert rule is named in its section of the runbook, and each red state has its rule', async (t) => {
  const rules = (await readRules()).groups.flatMap((group) => group.rules);
  t.is(new Set(rules.map(({ alert }) => alert)).size, rules.length, 'no name twice');
  const runbook = await readFile(join(projectRoot, 'docs/runbook.md'), 'utf8');
  const sections = new Map(
    runbook.split(/^##+ /m).map((section) => {
      const [heading = ''] = section.split('\n', 1);
      const anchor = heading
        .toLowerCase()
        .replaceAll(/[^\w -]/g, '')
        .replaceAll(' ', '-');
      return [anchor, section];
    }),
  );
  for (const { alert, annotations } of rules)
    t.true(
      sections.get(annotations.runbook_url.split('#')[1] ?? '')?.includes(`\`${alert}\``),
      `${alert} is not named in ${annotations.runbook_url}`,
    );
  for (const [name, { title, severity, section }] of Object.entries(redStates)) {
    const rule = rules.find(({ alert }) => alert === name);
    // What else a rule may look at, such as a check that fails, can have other causes.
    t.true(rule?.expr.includes(`max(rollcall_red_state{name="${name}"}) == 1`), name);
    t.like(
      rule,
      {
        labels: { severity },
        annotations: { summary: title, runbook_url: `docs/runbook.md#${section}` },
      },
      name,
    );
  }
});

test('rules and dashboard name only metrics, labels and values that a scrape can have', async (t) => {
  const rules = (await readRules()).groups.flatMap((group) => group.rules);
  const { panels, annotations } = await readDashboard();
  const expressions = [
    ...rules.map(({ expr }) => expr),
    ...[...panels.flatMap(({ targets = [] }) => targets), ...annotations.list].map(
      ({ expr }) => expr,
    ),
  ];
  const named = new Set<MetricName>();
  for (const expression of expressions) {
    const selectors = selectorsIn(expression);
    t.true(selectors.length > 0, expression);
    for (const { metric, labels } of selectors) {
      if (metric === 'up') continue;
      const name = names.find((each) => seriesNames(each).includes(metric));
      t.truthy(name, `${metric} in ${expression}`);
      if (!name) continue;
      named.add(name);
      for (const [label, { operator, value }] of Object.entries(labels)) {
        if (label === 'job') continue;
        const known = metricDefinitions[name].labels?.[label];
        t.truthy(known, `${name} has the label ${label}`);
        if (operator === '=' && known && known.length > 0)
          t.true(known.includes(value), `${label}="${value}"`);
      }
    }
  }
  t.deepEqual(
    names.filter((name) => !named.has(name)),
    [],
    'every metric is used by a rule or a chart',
  );
});

test('what health checks and scrapes are answered counts in no share and no time of requests', async (t) => {
  const rules = (await readRules()).groups.flatMap((group) => group.rules);
  const { panels } = await readDashboard();
  const requests = [...rules, ...panels.flatMap(({ targets = [] }) => targets)]
    .filter(({ expr }) => !/by \(http_route\)/.test(expr))
    .flatMap(({ expr }) => selectorsIn(expr))
    .filter(({ metric }) => metric.startsWith('http_server_request_duration_seconds'));
  t.true(requests.length >= 7);
  for (const { labels } of requests)
    t.regex(
      `${labels['http_route']?.operator} ${labels['http_route']?.value}`,
      /^!~ .*\/health\/\.\*\|\/metrics$/,
    );
});

/** The names under which a metric's series are scraped. */
const seriesNames = (name: MetricName): readonly string[] =>
  metricDefinitions[name].type === 'histogram'
    ? ['_bucket', '_sum', '_count'].map((suffix) => `${name}${suffix}`)
    : [name];

interface Selector {
  readonly metric: string;
  readonly labels: Readonly<Record<string, { readonly operator: string; readonly value: string }>>;
}

const KEYWORDS = new Set(['and', 'or', 'offset']);

/** Every series that a PromQL expression selects: a name that is neither a function, nor a keyword, nor in a list of labels. */
function selectorsIn(expression: string): Selector[] {
  const plain = expression
    .replaceAll('$__rate_interval', '5m')
    .replaceAll(/\b(?:by|on|group_left) ?\([^)]*\)/g, ' ');
  return [...plain.matchAll(/\b([a-z_][a-z0-9_]*)\b(?:\{([^}]*)\})?(?! *\()/g)]
    .filter(([, name = '']) => !KEYWORDS.has(name))
    .map(([, metric = '', inBraces = '']) => ({
      metric,
      labels: Object.fromEntries(
        [...inBraces.matchAll(/([a-z_]+)(=~|!=|!~|=)"([^"]*)"/g)].map(
          ([, label = '', operator = '', value = '']) => [label, { operator, value }],
        ),
      ),
    }));
}
