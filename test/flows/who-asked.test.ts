import test from 'ava';
import { readTraceparent } from '../../api/http/traceparent.js';
import { runCli, runCliJson } from '../cli/run-cli.js';
import type { Answer, RequestOptions } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';

const context = useSharedContext('api');
const api = useApi(context);

const TRACE = '12345678901234567890123456789012';
const PARENT = '1234567890123456';

/** What two requests may have in common, since their client chooses it. */
const chosen: RequestOptions = {
  headers: { 'x-request-id': 'one-id-for-all', traceparent: `00-${TRACE}-${PARENT}-01` },
};

interface MailHistory {
  readonly recipient: string;
  readonly mail: string;
  readonly request_id: string | null;
  readonly trace_id: string;
  readonly span_id: string | null;
}

const historiesOf = async (email: string): Promise<MailHistory[]> =>
  (await runCliJson(context, ['mail', 'show', email])).json['messages'] as MailHistory[];

for (const [what, path, ask] of [
  [
    'a registration',
    '/auth/register',
    (email) => api.client.post('/auth/register', api.admins.applicant({ email }), chosen),
  ],
  [
    'another link',
    '/auth/confirm/resend',
    (email) => api.client.post('/auth/confirm/resend', { email }, chosen),
  ],
  [
    'a new password',
    '/auth/password/forgot',
    (email) => api.client.post('/auth/password/forgot', { email }, chosen),
  ],
  [
    'another address',
    '/auth/me',
    async (email) => {
      const { client, password } = await api.admins.confirmedAdmin();
      return client.put('/auth/me', { email, current_password: password }, chosen);
    },
  ],
] as const satisfies [string, string, (email: string) => Promise<Answer>][]) {
  test.serial(
    `\`mail show\` names the request that asked for ${what}, though another one bore the same ids (field: coder/coder#15150)`,
    async (t) => {
      const email = context.uniqueAddress();
      for (let i = 0; i < 2; i += 1) t.true((await ask(email)).status < 300);
      const histories = (await historiesOf(email)).filter(({ recipient }) => recipient === email);
      t.is(histories.length, 2);
      const spans = new Set<unknown>();
      for (const { request_id, trace_id, span_id, mail } of histories) {
        t.deepEqual(
          [request_id, trace_id, mail],
          ['one-id-for-all', TRACE, 'send-confirmation-mail'],
        );
        const line = await api.server.waitForLine(
          (each) => each['span.id'] === span_id && each['message'] === 'request',
        );
        t.is(line['url.path'], path);
        spans.add(span_id);
      }
      t.is(spans.size, 2, 'the server’s own id tells them apart');
      t.false(spans.has(PARENT));
      const { stdout } = await runCli(context, ['mail', 'show', email]);
      for (const span of spans)
        t.true(stdout.includes(`request one-id-for-all (span ${String(span)})`));
    },
  );
}

test.serial('what was asked for is in the audit, with the request and the mail', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const { email, password } = admin;
  const changed = context.uniqueAddress();
  await api.client.post('/auth/password/forgot', { email }, chosen);
  await api.client.post('/auth/confirm/resend', { email }, chosen);
  await admin.client.put('/auth/me', { email: changed, current_password: password }, chosen);
  const events = await context.rows(
    `select e.event, e.request_id, e.admin_id from audit_events e
       join outbox o on o.id::text = e.details->>'outbox_id' and o.request_id = e.request_id
      where o.recipient in ($1, $2) and e.request_id = 'one-id-for-all' order by e.at, e.id`,
    [email, changed],
  );
  const request_id = 'one-id-for-all';
  t.deepEqual(events, [
    { event: 'password_reset_requested', request_id, admin_id: null },
    { event: 'confirmation_requested', request_id, admin_id: null },
    { event: 'email_change_requested', request_id, admin_id: admin.id },
  ]);
});

const ZEROS = '0'.repeat(32);
const traceparents: readonly [header: string | undefined, traceId: string | undefined][] = [
  [`00-${TRACE}-${PARENT}-01`, TRACE],
  [`00-${TRACE}-${PARENT}-00`, TRACE],
  [`00-${ZEROS}-${PARENT}-01`, undefined],
  [`00-${TRACE}-0000000000000000-01`, undefined],
  [`cc-${ZEROS}-${PARENT}-01`, undefined],
  [`cc-${TRACE}-0000000000000000-01`, undefined],
  [`01-${TRACE}-${PARENT}-01`, TRACE],
  [`cc-${TRACE}-${PARENT}-01`, TRACE],
  [`cc-${TRACE}-${PARENT}-01-what-the-future-will-be-like`, TRACE],
  [`cc-${TRACE}-${PARENT}-01-`, TRACE],
  [`cc-${TRACE}-${PARENT}-01.what-the-future-will-not-be-like`, undefined],
  [`fe-${TRACE}-${PARENT}-01`, TRACE],
  [`ff-${TRACE}-${PARENT}-01`, undefined],
  [`ff-${TRACE}-${PARENT}-01-what`, undefined],
  [`00-${TRACE}-${PARENT}-01-what`, undefined],
  [`00-${TRACE}-${PARENT}-01-`, undefined],
  [`00-${TRACE}-${PARENT}-1`, undefined],
  [`00-${TRACE}-${PARENT}`, undefined],
  [`0-${TRACE}-${PARENT}-01`, undefined],
  [`00-${TRACE.slice(1)}-${PARENT}-01`, undefined],
  [`00-${TRACE}a-${PARENT}-01`, undefined],
  [`00-${TRACE}-${PARENT}a-01`, undefined],
  [`00-${'A'.repeat(32)}-${PARENT}-01`, undefined],
  [`00-${'.'.repeat(32)}-${PARENT}-01`, undefined],
  [`00-${TRACE}-${PARENT}-0.`, undefined],
  ['', undefined],
  [undefined, undefined],
];

test('a traceparent is read as W3C Trace Context says (field: W3C trace-context test suite)', (t) => {
  for (const [header, traceId] of traceparents)
    t.is(readTraceparent(header)?.traceId, traceId, header);
});

test.serial('a request whose traceparent is not valid begins a trace of its own', async (t) => {
  const traceOf = async (traceparent: string): Promise<unknown> => {
    const { requestId } = await api.client.get('/health/live', { headers: { traceparent } });
    const line = await api.server.waitForLine((each) => each['http.request.id'] === requestId);
    return line['trace.id'];
  };
  t.is(await traceOf(`cc-${TRACE}-${PARENT}-01-what`), TRACE);
  for (const invalid of [`00-${ZEROS}-${PARENT}-01`, `00-${TRACE}-0000000000000000-01`]) {
    const traceId = String(await traceOf(invalid));
    t.regex(traceId, /^[0-9a-f]{32}$/);
    t.false([TRACE, ZEROS].includes(traceId));
  }
});
