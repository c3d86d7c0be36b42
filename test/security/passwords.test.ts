import test, { type ExecutionContext } from 'ava';
import bcrypt from 'bcrypt';
import { createPasswords } from '../../api/passwords/passwords.js';
import { createAdmins } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { createClient } from '../helpers/api-client.js';
import { useSharedContext } from '../helpers/context.js';
import { environment, productionEnvironment } from '../helpers/env.js';
import type { Problem } from '../helpers/problem.js';
import { startProgram } from '../helpers/processes.js';
import { runApi } from '../helpers/servers.js';
import { startCounting } from './counted-work.js';

const context = useSharedContext('api');
const api = useApi(context);

const KEY = '\u{1F511}';
/** One character to a reader, two code points. */
const FLAG = '\u{1F1E9}\u{1F1EA}';

test.serial('S15 a password has fifteen code points at least', async (t) => {
  for (const password of ['only 14 points', KEY.repeat(14), FLAG.repeat(7)])
    await refuses(t, password, 'validation_failed');
  for (const password of ['these are these', KEY.repeat(15), FLAG.repeat(8)])
    await keeps(t, password);
});

test.serial('S15 S17 a password is counted in the form that is hashed: composed', async (t) => {
  const eight = 'áéíóúýćń'.normalize('NFD');
  t.is([...eight].length, 16);
  await refuses(t, eight, 'validation_failed');
  await refuses(t, 'ökörfúrógéppel'.normalize('NFD'), 'validation_failed');
  await keeps(t, 'tükörfúrógéppel'.normalize('NFD'));
  const longest = 'Árvíztűrő tükörfúrógép, jó foxim és don Quijote '.repeat(3).slice(0, 128);
  t.true([...longest.normalize('NFD')].length > 128);
  await keeps(t, longest.normalize('NFD'));
  await refuses(t, `${longest}é`.normalize('NFD'), 'validation_failed');
});

test.serial(
  'S15 S18 the bounds of a password are those of its composed form (field: crudauth #32, zod #3355)',
  async (t) => {
    for (const letters of ['ễộặữấ', 'ằễỗợự']) {
      const [hundred, longest] = [letters.repeat(20), `${letters.repeat(26).slice(0, 127)}x`];
      t.is([...longest].length, 128);
      for (const password of [hundred, longest]) {
        const { email } = await api.admins.confirmedAdmin({ password: password.normalize('NFD') });
        t.is(await logIn(email, password.normalize('NFC')), 200);
      }
      const { status, body } = await register(`${longest}e`.normalize('NFD'));
      t.is(status, 422);
      t.deepEqual(body.errors, [
        { pointer: '#/password', detail: 'must be at most 128 characters' },
      ]);
    }
  },
);

test.serial('S16 a password may be of anything, and nothing is cut off its ends', async (t) => {
  for (const password of [
    'aaaa bbbb cccc dddd x',
    '83920174655019283746',
    'ONLY CAPITAL LETTERS HERE',
    'только кириллица здесь',
  ])
    await keeps(t, password);
  const padded = '  two spaces at both ends  ';
  await keeps(t, padded, [padded.trim(), padded.trimStart(), padded.trimEnd()]);
});

test.serial('S17 all of a password counts, and past 128 code points it is refused', async (t) => {
  const longerThanBcryptReads = 'a'.repeat(72);
  await keeps(t, `${longerThanBcryptReads}X`, [`${longerThanBcryptReads}Y`, longerThanBcryptReads]);
  await keeps(t, KEY.repeat(128), [KEY.repeat(127), KEY.repeat(129)]);
  for (const password of [KEY.repeat(129), 'a long word '.repeat(11), 'x'.repeat(3_000)])
    await refuses(t, password, 'validation_failed');
});

test.serial(
  'S13 S17 a password or an address that is refused costs nothing: neither a hash nor a statement',
  async (t) => {
    const { client, work } = await startCounting(t, context);
    const { email, name, password } = api.admins.applicant();
    const token = `ct_${'0'.repeat(32)}_${'A'.repeat(43)}`;
    const refused: [path: string, json: object][] = [];
    for (const bad of [KEY.repeat(129), 'x'.repeat(3_000), 'only 14 points'])
      refused.push(
        ['/auth/register', { email, name, password: bad }],
        ['/auth/password/reset', { token, password: bad }],
      );
    for (const bad of ['', 'x'.repeat(2_049), 'a lone surrogate: \ud800'])
      refused.push(['/auth/confirm', { token, password: bad }]);
    for (const bad of ['a@x', '\u0430@x.test', '"a b"@x.test', `${'a'.repeat(65)}@x.test`])
      refused.push(
        ['/auth/register', { email: bad, name, password }],
        ['/auth/login', { email: bad, password }],
        ['/auth/confirm/resend', { email: bad }],
        ['/auth/password/forgot', { email: bad }],
      );
    refused.push(['/auth/login', { email, password: 'x'.repeat(2_049) }]);
    for (const [path, json] of refused) {
      const { status, body } = await client.post<Problem>(path, json);
      t.deepEqual([status, body.code], [422, 'validation_failed'], `${path} ${body.code}`);
    }
    t.deepEqual(work, { hashes: [], statements: 0 });

    t.is((await client.post('/auth/register', { email, name, password })).status, 202);
    t.true(work.hashes.length > 0 && work.statements > 0, 'what is not refused is counted');
  },
);

test.serial(
  'S18 a password is the same however its characters are composed, and no two others are',
  async (t) => {
    const decomposed = 'e\u0301tude e\u0301tude e\u0301tude';
    const who = await api.admins.confirmedAdmin({ password: decomposed });
    t.is(await logIn(who.email, decomposed.normalize('NFC')), 200);
    t.is(await logIn(who.email, 'etude etude etude'), 401);
    await keeps(t, 'a NUL \u0000 in the middle', ['a NUL ', 'a NUL ', 'a NUL \u0000 in the end']);
    await refuses(t, 'a lone surrogate: \ud800', 'validation_failed');
    // Encoders turn a lone surrogate into U+FFFD: it must not pass for one.
    const replaced = await api.admins.confirmedAdmin({ password: 'a replaced one: \ufffd' });
    t.is(await logIn(replaced.email, 'a replaced one: \ud800'), 422);
  },
);

test.serial(
  'S21 a stored password is peppered, salted, and as costly as is asked for',
  async (t) => {
    const { url } = await runApi(context, { scope: t, env: { BCRYPT_COST: '10' } });
    const costly = createAdmins(context, createClient(url));
    const password = 'one password that two people have';
    const hashes = new Set<string>();
    for (let i = 0; i < 2; i++) {
      const { email } = await costly.confirmedAdmin({ password });
      hashes.add(await hashOf(email));
    }
    t.is(hashes.size, 2);
    for (const hash of hashes) t.regex(hash, /^v1\$p\d+\$\$2b\$10\$[./A-Za-z0-9]{53}$/);

    const cheap = await api.admins.confirmedAdmin();
    const before = await hashOf(cheap.email);
    t.regex(before, /\$2b\$04\$/);
    await costly.logIn(cheap);
    const after = await hashOf(cheap.email);
    t.regex(after, /\$2b\$10\$/);
    await costly.logIn(cheap);
    t.is(await hashOf(cheap.email), after, 'once is enough');

    const tooCheap = startProgram(
      'dist/api/main.js',
      environment(context, {
        ...productionEnvironment(),
        BCRYPT_COST: '9',
      }),
      t,
    );
    t.deepEqual(await tooCheap.waitForExit(), { code: 78, signal: null });
    t.regex(tooCheap.stderr(), /^[^\n]*\n {2}BCRYPT_COST: must be at least 10 in production\n$/);
  },
);

test.serial(
  'S14 a compare takes as many rounds whatever the cost of the stored hash, also without one',
  async (t) => {
    const config = { pepper: 'a pepper of this test', previousPeppers: [], threads: 4 };
    const [old, now] = [
      await createPasswords({ ...config, cost: 4 }),
      await createPasswords({ ...config, cost: 8 }),
    ];
    const owners = {
      'an old hash': { passwordHash: await old.hash('the password') },
      'a new hash': { passwordHash: await now.hash('the password') },
      'no account': null,
      'a hash of a lost pepper': {
        passwordHash: (await old.hash('the password')).replace(/p\d+/, 'p1'),
      },
    };
    let rounds = 0;
    const { hash, compare } = bcrypt;
    t.teardown(() => void Object.assign(bcrypt, { hash, compare }));
    Object.assign(bcrypt, {
      hash(data: string, cost: number) {
        rounds += 2 ** cost;
        return hash(data, cost);
      },
      compare(data: string, digest: string) {
        rounds += 2 ** bcrypt.getRounds(digest);
        return compare(data, digest);
      },
    });
    for (const [what, owner] of Object.entries(owners)) {
      for (const password of ['the password', 'another password']) {
        rounds = 0;
        const found = await now.verify(password, async () => owner);
        t.is(rounds, 2 ** 8, `${what}, ${password}`);
        const isRight = password === 'the password' && /^an? (old|new) hash$/.test(what);
        t.is(found, isRight ? (owner ?? undefined) : undefined, `${what}, ${password}`);
      }
    }
  },
);

const register = (password: string) => {
  const applicant = api.admins.applicant({ password });
  const answer = api.client.post<Problem>('/auth/register', applicant);
  return answer.then(({ status, body, text }) => ({ email: applicant.email, status, body, text }));
};

const logIn = async (email: string, password: string): Promise<number> =>
  (await api.client.post('/auth/login', { email, password })).status;

/** The password is accepted; it logs in, and none of the others does. */
async function keeps(
  t: ExecutionContext,
  password: string,
  others: readonly string[] = [],
): Promise<void> {
  const { email } = await api.admins.confirmedAdmin({ password });
  t.is(await logIn(email, password), 200, password);
  for (const other of others) t.is(await logIn(email, other), 401, other);
}

/** The password is refused, before anything is stored, and is not told again. */
async function refuses(t: ExecutionContext, password: string, code: string): Promise<void> {
  const { email, status, body, text } = await register(password);
  const shown = password.slice(0, 40);
  t.deepEqual([status, body.code], [422, code], shown);
  t.true(
    body.errors?.every(({ pointer }) => pointer === '#/password'),
    shown,
  );
  t.false(text.includes(password));
  t.deepEqual(await registrationsAt(email), []);
}

const registrationsAt = (email: string): Promise<object[]> =>
  context.rows('select from registrations where email_canonical = $1', [email]);

async function hashOf(email: string): Promise<string> {
  const [row] = await context.rows<{ password_hash: string }>(
    'select password_hash from admins where email = $1',
    [email],
  );
  return row?.password_hash ?? '';
}
