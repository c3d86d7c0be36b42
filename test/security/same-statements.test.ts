import test, { type ExecutionContext } from 'ava';
import { createAdmins, type AdminFactory } from '../helpers/admins.js';
import { createClient, type Answer, type ApiClient } from '../helpers/api-client.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { comparable } from '../helpers/problem.js';
import { startApi } from '../helpers/processes.js';
import {
  openStatementRecorder,
  withoutValues,
  type StatementRecorder,
} from '../helpers/statements.js';
import { startCounting } from './counted-work.js';

shareProcess();

const context = useContext();

let recorder: StatementRecorder;
let client: ApiClient;
let admins: AdminFactory;
/** For what changes nothing of an address, until the last test. */
let unchanged: Readonly<Record<string, string>>;
test.serial.before('start an API whose statements are recorded', async () => {
  recorder = await openStatementRecorder(context, context.databaseUrl);
  const api = await startApi(context, { env: { DATABASE_URL: recorder.url } });
  client = createClient(api.url);
  admins = createAdmins(context, client);
  unchanged = await addressesOfEveryKind();
});

type Ask = (email: string) => Promise<Answer>;
const register: Ask = (email) => client.post('/auth/register', admins.applicant({ email }));
const resend: Ask = (email) => client.post('/auth/confirm/resend', { email });
const forgot: Ask = (email) => client.post('/auth/password/forgot', { email });

test.serial('S01 registering asks and answers the same for every address', async (t) => {
  const name = (await admins.confirmedAdmin()).name.toUpperCase();
  await asksAndAnswersTheSame(
    t,
    409,
    (email) => client.post('/auth/register', admins.applicant({ email, name })),
    unchanged,
  );
  await asksAndAnswersTheSame(t, 202, register);
  const applicant = admins.applicant();
  await asksAndAnswersTheSame(t, 202, async (email) => {
    await client.post('/auth/register', { ...applicant, email });
    return client.post('/auth/register', { ...applicant, email });
  });
});

test.serial(
  'S02 asking for a link asks and answers the same for every address, in JSON or by a form',
  async (t) => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    for (const [path, ask] of [
      ['/auth/confirm/resend', resend],
      ['/auth/password/forgot', forgot],
    ] as const) {
      const kinds = await addressesOfEveryKind();
      await asksAndAnswersTheSame(t, 202, ask, kinds);
      const byForm: Ask = (email) =>
        client.request('POST', path, { headers, body: `email=${encodeURIComponent(email)}` });
      await asksAndAnswersTheSame(t, 202, byForm, { ...kinds, new: context.uniqueAddress() });
    }
  },
);

test.serial(
  'S02 wanting to have another address asks the same, whosever the address is',
  async (t) => {
    const { client: session, password } = await admins.confirmedAdmin();
    await asksTheSame(t, 200, (email) =>
      session.put('/auth/me', { email, current_password: password }),
    );
  },
);

test.serial('S14 a login that fails asks and answers the same for every address', async (t) => {
  for (const password of ['not the password', 'x'.repeat(2_000)]) {
    const logIn: Ask = (email) => client.post('/auth/login', { email, password });
    await asksAndAnswersTheSame(t, 401, logIn, unchanged);
  }
  const deleted = await deletedAdmin();
  const { email, password } = deleted;
  const unknown = context.uniqueAddress();
  const answers = [email, unknown].map((each) =>
    client.post('/auth/login', { email: each, password }),
  );
  const [old, never] = await Promise.all(answers);
  t.is(old && comparable(old), never ? comparable(never) : '', 'the password that it had');
});

test.serial('S01 S14 what is hashed and compared is as much for every address', async (t) => {
  const { client: counted, work } = await startCounting(t, context);
  const { password } = admins.applicant();
  // What would make other kinds of them comes last.
  for (const [path, status] of [
    ['/auth/login', 401],
    ['/auth/confirm/resend', 202],
    ['/auth/password/forgot', 202],
    ['/auth/register', 202],
  ] as const) {
    const done: string[] = [];
    for (const [kind, email] of Object.entries({ ...unchanged, new: context.uniqueAddress() })) {
      const fields = path === '/auth/register' ? admins.applicant({ email }) : { email, password };
      work.hashes = [];
      const json = /resend|forgot/.test(path) ? { email } : fields;
      t.is((await counted.post(path, json)).status, status, `${path} ${kind}`);
      done.push(work.hashes.join());
    }
    const expected = { '/auth/register': 'hash 4', '/auth/login': 'compare 4,compare 4' }[
      path as string
    ];
    t.deepEqual([...new Set(done)], [expected ?? ''], path);
  }
});

test.serial('a right password does more than a wrong one, and the recorder shows it', async (t) => {
  const { email, password } = await admins.confirmedAdmin();
  const statements = await recorder.during(() => client.post('/auth/login', { email, password }));
  t.is(statements.filter((sql) => sql.includes('insert into sessions')).length, 1);
  t.false(statements.join().includes(email));
});

test('a statement is compared without its values', (t) => {
  t.is(
    withoutValues(`select "t1"."a2" from t1 where b = 'it''s 5' and c in (1, 2.5) and d = $1`),
    `select "t1"."a2" from t1 where b = ? and c in (?, ?) and d = $1`,
  );
});

/** An address of each kind that there is to the service. */
async function addressesOfEveryKind(): Promise<Readonly<Record<string, string>>> {
  const often = (ask: Ask, email: string) =>
    Promise.all(Array.from({ length: 4 }, () => ask(email)));
  const kinds = {
    new: context.uniqueAddress(),
    registered: (await admins.registerAdmin()).email,
    'registered often': context.uniqueAddress(),
    'asked about often': context.uniqueAddress(),
    confirmed: (await admins.confirmedAdmin()).email,
    'confirmed and registered again': (await admins.confirmedAdmin()).email,
    'confirmed and suppressed': (await admins.confirmedAdmin()).email,
    suppressed: (await admins.registerAdmin()).email,
    'of an account that is gone': (await deletedAdmin()).email,
    'wanted by an account': context.uniqueAddress(),
  };
  await often(register, kinds['registered often']);
  await often(resend, kinds['asked about often']);
  await often(register, kinds['confirmed and registered again']);
  await context.rows(
    `insert into suppressions (email_canonical, reason) select unnest($1::text[]), 'bounce'`,
    [[kinds['confirmed and suppressed'], kinds.suppressed]],
  );
  const { client: mover, password } = await admins.confirmedAdmin();
  const email = kinds['wanted by an account'];
  await mover.put('/auth/me', { email, current_password: password });
  return kinds;
}

async function deletedAdmin() {
  const admin = await admins.confirmedAdmin();
  const json = { current_password: admin.password };
  await admin.client.request('DELETE', '/auth/me', { json });
  return admin;
}

interface Exchange {
  readonly kind: string;
  readonly answer: Answer;
  readonly statements: readonly string[];
}

/** PostgreSQL is sent the same statements in the same order, whatever the service knows of the address. */
async function asksTheSame(
  t: ExecutionContext,
  status: number,
  ask: Ask,
  kinds?: Readonly<Record<string, string>>,
): Promise<Exchange[]> {
  const exchanges: Exchange[] = [];
  for (const [kind, email] of Object.entries(kinds ?? (await addressesOfEveryKind()))) {
    const answers: Answer[] = [];
    const statements = await recorder.during(async () => void answers.push(await ask(email)));
    for (const answer of answers) exchanges.push({ kind, answer, statements });
  }
  const [first] = exchanges;
  t.true((first?.statements.length ?? 0) > 0);
  for (const { kind, answer, statements } of exchanges) {
    t.is(answer.status, status, kind);
    t.deepEqual(statements, first?.statements, kind);
  }
  return exchanges;
}

/** The answers are equal as well, but for what counts requests and names them. */
async function asksAndAnswersTheSame(
  t: ExecutionContext,
  status: number,
  ask: Ask,
  kinds?: Readonly<Record<string, string>>,
): Promise<void> {
  const [first, ...others] = await asksTheSame(t, status, ask, kinds);
  for (const { kind, answer } of others) {
    t.is(shown(answer), first ? shown(first.answer) : '', kind);
    t.deepEqual(comparableHeaders(answer), first && comparableHeaders(first.answer), kind);
  }
}

const shown = (answer: Answer): string =>
  typeof answer.body === 'string' ? answer.text : comparable(answer);

function comparableHeaders({ headers }: Answer): [string, string][] {
  const counting = ['date', 'x-request-id', 'ratelimit-remaining', 'ratelimit-reset'];
  return [...headers].map(([name, value]) => [name, counting.includes(name) ? '' : value]);
}
