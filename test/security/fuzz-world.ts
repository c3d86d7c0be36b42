import { mintedToken, type TestAdmin } from '../helpers/admins.js';
import type { ApiUnderTest } from '../helpers/api.js';
import type { TestContext } from '../helpers/context.js';
import type { Recipe } from './fuzz-requests.js';

/** What only the run knows, by the name that recipes have for it. */
export type World = Readonly<Record<string, string>>;

/** Accounts, rows and tokens, to be used up. What is another admin's stays the same. */
export async function makeWorld(
  context: TestContext,
  { admins, client }: ApiUnderTest,
  other: TestAdmin,
): Promise<World> {
  const tokenOf = mintedToken(context);
  const admin = await admins.confirmedAdmin();
  const spare = await admins.confirmedAdmin();
  const pending = await admins.registerAdmin();
  const confirmationToken = await tokenOf(pending.email);
  const { refresh_token: refreshToken } = await admins.logIn(admin);
  await admins.logIn(admin);
  const { body: sessions } = await admin.client.get<{ id: number }[]>('/auth/sessions');
  const { body: user } = await admin.client.post<{ id: number }>('/users', { email: 'one@x.test' });
  await admin.client.post('/users', { email: 'two@x.test' });
  const { headers } = await admin.client.get('/users?limit=1');
  await client.post('/auth/password/forgot', { email: admin.email });
  return {
    email: admin.email,
    password: admin.password,
    token: admin.login.access_token,
    refreshToken,
    sessionId: String(sessions[0]?.id),
    userId: String(user.id),
    cursor: /cursor=([^>&]+)/.exec(headers.get('link') ?? '')?.[1] ?? '',
    resetToken: await tokenOf(admin.email),
    pendingEmail: pending.email,
    pendingPassword: pending.password,
    confirmationToken,
    spareToken: spare.login.access_token,
    sparePassword: spare.password,
    otherToken: other.login.access_token,
  };
}

/** The recipe with what the run knows in the places that it has left open; `<<unique>>` is the given text. */
export function fillIn(recipe: Recipe, world: World, unique: string): Recipe {
  const fill = (given: string): string =>
    given.replaceAll(/<<(\w+)>>/g, (_, name: string) =>
      name === 'unique' ? unique : (world[name] ?? ''),
    );
  const { target, headers, body } = recipe;
  return {
    ...recipe,
    target: fill(target),
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, fill(value)]),
    ),
    body: typeof body === 'string' ? fill(body) : body,
  };
}
