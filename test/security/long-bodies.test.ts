import test from 'ava';
import { mintedToken } from '../helpers/admins.js';
import type { ApiClient } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import type { Problem } from '../helpers/problem.js';

const context = useSharedContext('api');
const api = useApi(context);
const tokenFor = mintedToken(context);

type Fields = Readonly<Record<string, string>>;

/** Every UTF-16 unit as `\uXXXX`. */
const escaped = (text: string): string =>
  text.replaceAll(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

const sendJson = (client: ApiClient, method: string, path: string, fields: Fields) =>
  client.request<Problem>(method, path, {
    body: `{${Object.entries(fields)
      .map(([name, value]) => `"${name}":"${escaped(value)}"`)
      .join()}}`,
    headers: { 'content-type': 'application/json' },
  });

const sendForm = (path: string, fields: Fields) =>
  api.client.request('POST', path, {
    body: String(new URLSearchParams(fields)),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });

/** Different Hangul syllables, each decomposed into three letters, which are three bytes each in UTF-8. */
const hangul = (count: number, from: number): string =>
  Array.from({ length: count }, (_, i) =>
    String.fromCodePoint(0xac01 + 28 * ((from + 37 * i) % 399)),
  )
    .join('')
    .normalize('NFD');

test('S52 no valid field is too long for a body, however it is encoded', async (t) => {
  const email = context.uniqueAddress();
  const [name, password] = [hangul(100, 0), hangul(128, 1)];
  const registration = { email, name, password };
  t.is((await sendJson(api.client, 'POST', '/auth/register', registration)).status, 202);
  const confirmation = { token: await tokenFor(email), password, name };
  t.is((await sendForm('/auth/confirm', confirmation)).status, 200);
  const { admin, access_token: token } = await api.admins.logIn({ email, password });
  t.is(admin.name, name.normalize('NFC'));
  t.is((await sendJson(api.client, 'POST', '/auth/login', { email, password })).status, 200);

  // As much as may surround a name and an address, and a password as long as one may be that is compared.
  const longest = {
    name: hangul(100, 2).padEnd(1_000),
    email: context.uniqueAddress().padEnd(1_000),
    password: hangul(128, 3),
    current_password: '각'.repeat(2_048),
  };
  const change = await sendJson(api.client.as(token), 'PUT', '/auth/me', longest);
  t.deepEqual([change.status, change.body.code], [403, 'wrong_password']);
  const link = { token: await tokenFor(email), name: longest.name };
  const form = await sendForm('/auth/confirm', { ...link, password: longest.current_password });
  t.is(form.status, 403);
});
