import test, { type ExecutionContext } from 'ava';
import { mintedToken, type Applicant } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import type { Problem } from '../helpers/problem.js';

const context = useSharedContext('api');
const owners = ['first', 'pushed-out', 'forgetful', 'wanted', 'gone'].map(
  (name) => `${name}@${context.mailDomain}`,
);
const api = useApi(context, { env: { OPERATOR_EMAILS: owners.join() } });
const tokenFor = mintedToken(context);

const confirm = (token: string, { password }: Pick<Applicant, 'password'>) =>
  api.client.post<Problem>('/auth/confirm', { token, password });

test.serial(
  'S82 who registers an operator’s address first, under the owner’s name, gets nothing into force',
  async (t) => {
    const [owner, stranger] = ownerAndStranger('first');
    const links: string[] = [];
    for (const { password } of [stranger, stranger, stranger, owner]) {
      await api.client.post('/auth/register', { ...owner, password });
      links.push(await tokenFor(owner.email));
    }
    const [followed = '', ...others] = links;
    t.is((await confirm(followed, { password: `${stranger.password}!` })).status, 403);
    t.is((await confirm(followed, owner)).status, 200);
    await isIn(t, owner, stranger);
    for (const link of others) t.is((await confirm(link, stranger)).status, 403);
    await isIn(t, owner, stranger);
  },
);

test.serial(
  'S82 who registers an operator’s address so often that the owner’s registration is dropped gets nothing into force',
  async (t) => {
    const [owner, stranger] = ownerAndStranger('pushed-out');
    await api.client.post('/auth/register', owner);
    const link = await tokenFor(owner.email);
    for (let i = 0; i < 5; i++)
      await api.client.post('/auth/register', {
        ...stranger,
        password: `${stranger.password} ${i}`,
      });
    t.is((await confirm(link, owner)).body.code, 'wrong_password');
    t.deepEqual(await adminsAt(owner.email), []);

    // The owner does what the page says: asks for a link that sets a password.
    await api.client.post('/auth/password/forgot', { email: owner.email });
    const { password: chosen, name } = owner;
    const json = { token: await tokenFor(owner.email), password: chosen, name };
    t.is((await api.client.post('/auth/password/reset', json)).status, 204);
    await isIn(t, owner, stranger);
    for (let i = 0; i < 5; i++) {
      const { email } = owner;
      const password = `${stranger.password} ${i}`;
      t.is((await api.client.post('/auth/login', { email, password })).status, 401);
    }
  },
);

test.serial(
  'S82 a password that is set by a mailed link is in force, and no stranger’s',
  async (t) => {
    const [owner, stranger] = ownerAndStranger('forgetful');
    await api.client.post('/auth/register', stranger);
    const link = await tokenFor(owner.email);
    await api.client.post('/auth/password/forgot', { email: owner.email });
    const { password, name } = owner;
    const json = { token: await tokenFor(owner.email), password, name };
    t.is((await api.client.post('/auth/password/reset', json)).status, 204);
    await isIn(t, owner, stranger);
    t.is((await confirm(link, stranger)).status, 403);
    await isIn(t, owner, stranger);
  },
);

test.serial(
  'S82 an account that wants an operator’s address does not get it by a press of its owner',
  async (t) => {
    const [owner] = ownerAndStranger('wanted');
    const stranger = await api.admins.confirmedAdmin();
    const change = { email: owner.email, current_password: stranger.password };
    t.is((await stranger.client.put('/auth/me', change)).status, 200);
    const theirs = await tokenFor(owner.email);
    await api.client.post('/auth/register', owner);
    t.is((await confirm(theirs, owner)).body.code, 'wrong_password');
    t.is((await confirm(await tokenFor(owner.email), owner)).status, 200);
    await isIn(t, owner, stranger);
    const { body: me } = await stranger.client.get<{ role: string; email: string }>('/auth/me');
    t.deepEqual([me.role, me.email], ['admin', stranger.email]);
    t.is((await confirm(theirs, stranger)).body.code, 'invalid_token', 'it is somebody’s now');
  },
);

test.serial(
  'S82 what a stranger registered while there was an account counts for nothing after it',
  async (t) => {
    const [owner, stranger] = ownerAndStranger('gone');
    const first = await api.admins.confirmedAdmin(owner);
    await api.client.post('/auth/register', stranger);
    const link = await tokenFor(owner.email);
    const json = { current_password: owner.password };
    t.is((await first.client.request('DELETE', '/auth/me', { json })).status, 204);
    t.is((await confirm(link, stranger)).body.code, 'invalid_token', 'it went with the account');

    const second = await api.admins.confirmedAdmin({ ...owner, name: `${owner.name} again` });
    t.not(second.id, first.id);
    await isIn(t, second, stranger);
  },
);

/** The owner of an operator’s address, and a stranger who has the address and the name, and no more. */
function ownerAndStranger(who: string): [Applicant, Applicant] {
  const owner = api.admins.applicant({ email: `${who}@${context.mailDomain}` });
  const { password } = api.admins.applicant();
  return [owner, { ...owner, password }];
}

/** The owner logs in as operator under the name of its choice, and the stranger does not log in. */
async function isIn(t: ExecutionContext, owner: Applicant, { password }: Applicant): Promise<void> {
  const { admin } = await api.admins.logIn(owner);
  t.is(admin.role, 'operator');
  t.is(admin.name, owner.name);
  const { email } = owner;
  t.is((await api.client.post('/auth/login', { email, password })).status, 401);
}

const adminsAt = (email: string): Promise<object[]> =>
  context.rows('select id from admins where email_canonical = $1', [email]);
