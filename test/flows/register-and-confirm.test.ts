import test from 'ava';
import { servedAtLast } from '../helpers/api-client.js';
import { useSystem } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { isRequest } from '../helpers/processes.js';
import { PUBLIC_URL } from '../helpers/env.js';
import { eventually } from '../helpers/eventually.js';
import { createFirehoseReader } from '../helpers/firehose.js';
import { linksIn, tokenIn } from '../helpers/mailbox.js';
import { dumpRedis } from '../helpers/redis.js';

const context = useSharedContext('system');
const system = useSystem(context);
const firehose = createFirehoseReader(context);

test.serial(
  'POST /auth/register: answer, rows, job, mail and log lines tell one story',
  async (t) => {
    const applicant = system.admins.applicant();
    const answer = await system.client.post('/auth/register', applicant, {
      headers: {
        'x-request-id': 'register-story-1',
        traceparent: `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`,
      },
    });

    // The answer.
    t.is(answer.status, 202);
    t.deepEqual(answer.body, { status: 'accepted' });
    t.is(answer.requestId, 'register-story-1');

    // The rows.
    const { email } = applicant;
    const [registration] = await context.rows('select * from registrations where email = $1', [
      email,
    ]);
    t.is(registration?.['name'], applicant.name);
    t.regex(String(registration?.['password_hash']), /^v1\$p\d+\$\$2b\$04\$/);
    t.deepEqual(await context.rows('select id from admins where email = $1', [email]), []);
    const [confirmation, ...others] = await context.rows(
      'select * from confirmations where email = $1',
      [email],
    );
    t.is(others.length, 0);
    t.like(confirmation, { purpose: 'registration', admin_id: null, confirmed_at: null });
    const [message] = await context.rows('select * from outbox where recipient = $1', [email]);
    t.deepEqual(message?.['payload'], { v: 1, confirmation_id: confirmation?.['id'] });
    t.like(message, { trace_id: 'ab'.repeat(16), request_id: 'register-story-1' });
    t.deepEqual(
      await context.rows(
        `select event, request_id from audit_events where details->>'outbox_id' = $1`,
        [message?.['id']],
      ),
      [{ event: 'registration_requested', request_id: 'register-story-1' }],
    );

    // The mail.
    const mail = await system.mailbox.waitForMail(applicant.email);
    t.is(linksIn(mail)[0]?.origin, PUBLIC_URL);
    t.false(mail.text.includes(applicant.name), 'a stranger may have chosen it');
    t.false(mail.text.includes(applicant.password) || mail.html.includes(applicant.password));

    // The job, as its message and delivery tell it.
    const settled = await eventually(async () => {
      const [row] = await context.rows(
        `select * from outbox where recipient = $1 and state = 'settled'`,
        [email],
      );
      return row;
    });
    t.like(settled, { outcome: 'sent', attempts: 1, template: 'confirmation' });
    const deliveries = await context.rows('select * from deliveries where outbox_id = $1', [
      settled['id'],
    ]);
    t.deepEqual(
      deliveries.map(({ outcome, attempt }) => [outcome, attempt]),
      [['sent', 1]],
    );

    // The log lines, of both processes under one trace.
    const request = await system.server.waitForLine(isRequest('register-story-1'));
    t.is(request['http.response.status_code'], 202);
    t.is(request['url.path'], '/auth/register');
    t.is(request['trace.id'], 'ab'.repeat(16));
    t.is(request['span.id'], message?.['span_id']);
    const job = await system.worker.waitForLine((line) => line['trace.id'] === 'ab'.repeat(16));
    t.is(job['labels.result'], 'sent');
    t.is(job['labels.outbox_id'], settled['id']);
    const record = await firehose.waitForRecord(isRequest('register-story-1'));
    t.deepEqual(record, request);
  },
);

test.serial(
  'GET and HEAD of the mailed link change nothing, however often; the button confirms',
  async (t) => {
    const applicant = await system.admins.registerAdmin();
    const link = linksIn(await system.mailbox.waitForMail(applicant.email))[0];
    const path = `${link?.pathname}${link?.search}`;
    for (const method of ['HEAD', 'GET', 'GET']) {
      const page = await system.client.request<string>(method, path);
      t.is(page.status, 200);
      t.is(page.headers.get('referrer-policy'), 'no-referrer');
      t.is(page.headers.get('cache-control'), 'no-store');
      t.true(page.headers.get('content-security-policy')?.startsWith("default-src 'none'"));
    }
    t.is(await confirmedAt(applicant.email), undefined);

    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const pressed = await system.client.request<string>('POST', '/auth/confirm', {
      body: new URLSearchParams({
        token: link?.searchParams.get('token') ?? '',
        password: applicant.password,
      }).toString(),
      headers: form,
    });
    t.is(pressed.status, 200);
    t.regex(pressed.headers.get('content-type') ?? '', /^text\/html/);
    t.truthy(await confirmedAt(applicant.email));
  },
);

test.serial(
  'the page of a mailed link holds the token once and nothing from elsewhere; that of a made-up one repeats nothing',
  async (t) => {
    const applicant = await system.admins.registerAdmin();
    const token = tokenIn(await system.mailbox.waitForMail(applicant.email));
    const page = await system.client.get<string>(`/auth/confirm?token=${token}`);
    t.is(page.status, 200);
    t.is(page.body.split(token).length, 2);
    t.notRegex(page.body, /(src|href)="(https?:)?\/\//);

    const hostile = `"><script src="//evil.test"></script>`;
    const refused = await system.client.get<string>(
      `/auth/confirm?token=${encodeURIComponent(hostile)}`,
    );
    t.is(refused.status, 400);
    t.false(refused.body.includes('script'));
    t.notRegex(refused.body, /(src|href)="(https?:)?\/\//);
  },
);

test.serial('confirming again answers the same, and logs nobody in', async (t) => {
  const applicant = await system.admins.registerAdmin();
  const token = tokenIn(await system.mailbox.waitForMail(applicant.email));
  const { password } = applicant;
  const first = await system.client.post('/auth/confirm', { token, password });
  const at = await confirmedAt(applicant.email);
  const second = await system.client.post('/auth/confirm', { token, password });
  t.deepEqual([first.status, first.body], [200, { status: 'confirmed' }]);
  t.deepEqual([second.status, second.body], [first.status, first.body]);
  t.deepEqual(await confirmedAt(applicant.email), at);
  const wrong = await system.client.post('/auth/confirm', { token, password: `not ${password}` });
  t.is(wrong.status, 403, 'a used link tells nothing to whoever does not know the password');
  t.is(first.headers.get('set-cookie'), null);
  t.deepEqual(
    await context.rows(
      'select s.id from sessions s join admins a on a.id = s.admin_id where a.email = $1',
      [applicant.email],
    ),
    [],
  );
});

test.serial(
  'a link that was used is good for nothing once it would have expired, or the address has moved',
  async (t) => {
    const { admins, client, mailbox } = system;
    const applicant = await admins.registerAdmin();
    const { email, password } = applicant;
    const token = tokenIn(await mailbox.waitForMail(email, { subject: /confirm/i }));
    const press = async (): Promise<number> =>
      (await client.post('/auth/confirm', { token, password })).status;
    t.deepEqual([await press(), await press()], [200, 200]);
    await context.rows(`update confirmations set expires_at = now() where email = $1`, [email]);
    t.is(await press(), 400);
    t.is((await client.get(`/auth/confirm?token=${token}`)).status, 400);

    await context.rows(
      `update confirmations set expires_at = now() + interval '1 hour' where email = $1`,
      [email],
    );
    t.is(await press(), 200);
    await context.rows('update admins set email_canonical = $2 where email = $1', [
      email,
      `moved-${email}`,
    ]);
    t.is(await press(), 400);
  },
);

test.serial('twenty presses at once confirm once, and each is answered the same', async (t) => {
  const applicant = await system.admins.registerAdmin();
  const { email, password } = applicant;
  const token = tokenIn(await system.mailbox.waitForMail(email));
  const answers = await Promise.all(
    Array.from({ length: 20 }, () =>
      servedAtLast(() => system.client.post('/auth/confirm', { token, password })),
    ),
  );
  t.deepEqual(
    answers.map(({ status, text }) => `${status} ${text}`),
    Array<string>(20).fill('200 {"status":"confirmed"}'),
  );
  const told = await context.rows(
    `select count(distinct a.id)::int as admins,
            count(*) filter (where e.event = 'user_created')::int as created,
            count(*) filter (where e.event = 'email_confirmed')::int as confirmed
       from admins a left join audit_events e on e.admin_id = a.id where a.email = $1`,
    [email],
  );
  t.deepEqual(told, [{ admins: 1, created: 1, confirmed: 1 }]);
  t.deepEqual(await context.rows('select id from registrations where email = $1', [email]), []);
});

test.serial(
  'a wrong, changed or made-up token gets one and the same answer, and confirms nobody',
  async (t) => {
    const applicant = await system.admins.registerAdmin();
    const token = tokenIn(await system.mailbox.waitForMail(applicant.email));
    const bodies = new Set<string>();
    for (const wrong of [
      'nonsense',
      `${token.slice(0, -2)}${token.at(-2) === 'A' ? 'B' : 'A'}${token.slice(-1)}`,
      token.replace(/^ct_./, (start) => `ct_${start.endsWith('0') ? '1' : '0'}`),
      `ct_${'0'.repeat(32)}_${'A'.repeat(43)}`,
    ]) {
      const answer = await system.client.post<Record<string, unknown>>('/auth/confirm', {
        token: wrong,
        password: applicant.password,
      });
      t.is(answer.status, 400);
      const { request_id: _, instance: __, ...rest } = answer.body;
      t.is(rest['code'], 'invalid_token');
      bodies.add(JSON.stringify(rest));
    }
    t.is(bodies.size, 1);
    t.is(await confirmedAt(applicant.email), undefined);
  },
);

test.serial('the link leads to PUBLIC_URL, whatever host the request names', async (t) => {
  const applicant = system.admins.applicant();
  await system.client.post('/auth/register', applicant, {
    headers: {
      'x-forwarded-host': 'evil.test',
      'x-forwarded-proto': 'javascript',
      forwarded: 'host=evil.test',
    },
  });
  const mail = await system.mailbox.waitForMail(applicant.email);
  t.true(linksIn(mail).length > 0);
  for (const link of linksIn(mail)) t.is(link.origin, PUBLIC_URL);
  t.false(`${mail.text}${mail.html}`.includes('evil.test'));
});

test.serial(
  'neither the database nor Redis nor any log holds a usable link, an address in a job, or the password',
  async (t) => {
    const applicant = await system.admins.registerAdmin();
    const token = tokenIn(await system.mailbox.waitForMail(applicant.email));
    const secret = token.slice(-43);
    await system.worker.waitForLine((line) => line['labels.result'] === 'sent');
    const tables = await context.rows<{ text: string }>(
      `select coalesce(string_agg(t::text, '|'), '') as text from (
       select outbox::text as t from outbox union all select deliveries::text from deliveries
       union all select confirmations::text from confirmations union all select admins::text from admins
       union all select registrations::text from registrations) all_rows`,
    );
    const redis = await dumpRedis(context.redisUrl);
    const logs = system.server.stdout() + system.worker.stdout();
    for (const text of [tables[0]?.text ?? '', redis, logs]) {
      t.true(text.length > 100);
      t.false(text.includes(secret));
      t.false(text.includes(Buffer.from(secret, 'base64url').toString('hex')));
      t.false(text.includes(applicant.password));
    }
    for (const text of [redis, logs]) t.false(text.includes(applicant.email));
  },
);

/** `undefined` as long as there is no such admin. */
async function confirmedAt(email: string): Promise<Date | undefined> {
  const [row] = await context.rows<{ confirmed_at: Date }>(
    'select confirmed_at from admins where email = $1',
    [email],
  );
  return row?.confirmed_at;
}
