import test, { type ExecutionContext } from 'ava';
import { mintedToken } from '../helpers/admins.js';
import type { Answer } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';

const context = useSharedContext('api');
const api = useApi(context);
const tokenFor = mintedToken(context);

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const NO_TOKEN = `ct_${'0'.repeat(32)}_${'A'.repeat(43)}`;
const PASSWORD = 'nine green kettles on a ferry';

const fields = (of: Record<string, string>): string => new URLSearchParams(of).toString();

const post = (path: string, body: string) =>
  api.client.request<string>('POST', path, { body, headers: FORM });

/** Where the forms of a page lead, and what else can be followed. */
const waysOn = (page: string): string[] =>
  [...page.matchAll(/<(?:form method="post" action|a class="button" href)="([^"]+)"/g)].map(
    ([, path = '']) => path,
  );

/** A page for a person, with a way on, in words that a person can follow. */
function isPage(t: ExecutionContext, answer: Answer, status: number, ...ways: string[]): void {
  const { headers, text } = answer;
  t.is(answer.status, status, text);
  t.regex(headers.get('content-type') ?? '', /^text\/html; charset=utf-8$/);
  t.is(headers.get('cache-control'), 'no-store');
  t.regex(text, /<h1>[^<]+<\/h1>/);
  t.true(waysOn(text).length > 0, text);
  for (const way of ways) t.true(waysOn(text).includes(way), `${way} in ${waysOn(text).join()}`);
  t.notRegex(text, /POST \/|GET \/|urn:|undefined|\[object|expected string/);
}

/** Every form that is served, filled in so that only what the test does is wrong, and where a person goes on from it. */
const forms = {
  '/auth/confirm': { good: { token: NO_TOKEN, password: PASSWORD }, way: '/auth/confirm/resend' },
  '/auth/password/reset': {
    good: { token: NO_TOKEN, password: PASSWORD },
    way: '/auth/password/forgot',
  },
  '/auth/confirm/resend': { good: { email: 'nobody@x.test' }, way: '/auth/confirm/resend' },
  '/auth/password/forgot': { good: { email: 'nobody@x.test' }, way: '/auth/password/forgot' },
} as const;

for (const [path, { good, way }] of Object.entries(forms)) {
  test(`a form to ${path} with a field missing, unknown or not valid is answered by a page`, async (t) => {
    for (const [field] of Object.entries(good)) {
      const { [field]: _, ...rest } = good as Record<string, string>;
      const missing = await post(path, fields(rest));
      isPage(t, missing, field === 'token' ? 400 : 422);
      const empty = await post(path, fields({ ...rest, [field]: '' }));
      isPage(t, empty, field === 'token' ? 400 : 422);
    }
    isPage(t, await post(path, fields({ ...good, extra: 'x' })), 422, way);
    isPage(t, await post(path, ''), path.endsWith('d') || path.endsWith('forgot') ? 422 : 400);
  });
}

test('a form to ask for a mail is answered by the same page for every address', async (t) => {
  const { email: confirmed } = await api.admins.confirmedAdmin();
  const { email: pending } = await api.admins.registerAdmin();
  const { email: unknown } = api.admins.applicant();
  for (const path of ['/auth/confirm/resend', '/auth/password/forgot']) {
    const pages = new Set<string>();
    for (const email of [confirmed, pending, unknown]) {
      const answer = await post(path, fields({ email }));
      isPage(t, answer, 202);
      pages.add(answer.text);
    }
    t.is(pages.size, 1);
  }
});

test('the pages of a link that does not work lead to the right remedy, before and after the button (field: mozilla/persona#695)', async (t) => {
  const remedies = [
    ['/auth/confirm', '/auth/confirm/resend'],
    ['/auth/password/reset', '/auth/password/forgot'],
  ] as const;
  for (const [path, remedy] of remedies) {
    for (const token of [NO_TOKEN, 'nonsense', '']) {
      isPage(t, await api.client.get(`${path}?token=${token}`), 400, remedy);
      isPage(t, await post(path, fields({ token, password: PASSWORD })), 400, remedy);
    }
  }
  const { text } = await api.client.get(`/auth/confirm?token=${NO_TOKEN}`);
  t.regex(text, /change the address of your account, log in and request the change again/);
});

test('a wrong password at the confirmation, and none: the form again, and a way to a new one', async (t) => {
  const { email, password } = await api.admins.registerAdmin();
  const token = await tokenFor(email);
  isPage(t, await api.client.get(`/auth/confirm?token=${token}`), 200, '/auth/confirm');
  const wrong = await post('/auth/confirm', fields({ token, password: `not ${password}` }));
  isPage(t, wrong, 403, '/auth/confirm', '/auth/password/forgot');
  t.true(wrong.text.includes(`name="token" value="${token}"`));
  t.false(wrong.text.includes(password), 'a password is never shown again');
  isPage(t, await post('/auth/confirm', fields({ token })), 422, '/auth/confirm');
  isPage(t, await post('/auth/confirm', fields({ token, password })), 200);
});

test('a name that has been taken, or cannot be one: the form asks for another, and takes it', async (t) => {
  const { email, name, password } = await api.admins.registerAdmin();
  await api.admins.confirmedAdmin({ name });
  const token = await tokenFor(email);
  isPage(t, await post('/auth/confirm', fields({ token, password })), 409, '/auth/confirm');
  const bad = await post('/auth/confirm', fields({ token, password, name: '\u202e' }));
  isPage(t, bad, 422, '/auth/confirm');
  const good = fields({ token, password, name: `${name} II` });
  isPage(t, await post('/auth/confirm', good), 200);
});

test('a weak or common password at the reset, or a taken name: the form again, with the reason', async (t) => {
  const { email, name } = await api.admins.registerAdmin();
  await api.admins.confirmedAdmin({ name });
  await api.client.post('/auth/password/forgot', { email });
  const token = await tokenFor(email);
  isPage(
    t,
    await api.client.get(`/auth/password/reset?token=${token}`),
    200,
    '/auth/password/reset',
  );
  const reset = (set: Record<string, string>) =>
    post('/auth/password/reset', fields({ token, ...set }));
  for (const password of ['short', 'password12345678', email]) {
    const refused = await reset({ password });
    isPage(t, refused, 422, '/auth/password/reset');
    t.regex(refused.text, /role="alert">That password /);
  }
  const taken = await reset({ password: PASSWORD });
  isPage(t, taken, 409, '/auth/password/reset');
  t.true(taken.text.includes('name="name"'));
  isPage(t, await reset({ password: PASSWORD, name: `${name} II` }), 200);
  isPage(t, await reset({ password: PASSWORD }), 400, '/auth/password/forgot');
});
