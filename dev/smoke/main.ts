import { randomBytes } from 'node:crypto';
import { readOptions } from '../command-line.js';
import { readDevEnv, type DevEnv } from '../env.js';
import { check, createClient, type Client } from './client.js';
import { createMailFinder } from './mail-finder.js';
import { readStackFile } from '../stack/stack-file.js';

// `npm run smoke -- [URL] [--mailbox URL]`: checks a running deployment end to end, as a client would.

/** Runs one step, prints how long it took, and returns its result. */
type Step = <Result>(name: string, run: () => Promise<Result>) => Promise<Result>;

interface Credentials {
  readonly email: string;
  readonly password: string;
}

const USAGE = `usage: npm run smoke -- [URL] [--mailbox URL]

Checks a running deployment end to end, as a client would: the public routes, a registration with its mail, a login, and users
in both forms of the routes. Without a URL it is the running \`npm run dev\`.

  --mailbox URL   where the confirmation mail arrives (maildev or Mailpit); that of \`npm run dev\` is known
  --help

Without a mailbox it logs in with SMOKE_EMAIL and SMOKE_PASSWORD, and leaves that account unchanged.
Exit codes: 0 all passed, 1 a step failed, 64 wrong usage.
`;
const mailTimeoutMs = 30_000;

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  const options = readOptions(USAGE, {
    args,
    options: { mailbox: { type: 'string' }, help: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  if (!options) return 64;
  const { values, positionals } = options;
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const env = readDevEnv();
  const stack = await readStackFile(env.dataDir);
  const url = positionals[0] ?? stack?.api;
  if (url === undefined || positionals.length > 1 || !URL.canParse(url)) {
    console.error(USAGE.trimEnd());
    return 64;
  }
  const isOwnStack = stack !== undefined && new URL(stack.api).port === new URL(url).port;
  const mailbox = values.mailbox ?? (isOwnStack ? stack.mailbox : undefined);
  const given = credentialsIn(env);
  const client = createClient(url);
  try {
    await client.reach();
  } catch (error) {
    console.error(`Nothing answers at ${url}: ${describe(error)}`);
    return 1;
  }
  if (mailbox === undefined && given === undefined) {
    console.error(
      'Registration needs the confirmation mail. Give --mailbox URL (maildev or Mailpit), or set SMOKE_EMAIL and SMOKE_PASSWORD.',
    );
    return 64;
  }
  return checkDeployment(client, url, mailbox, given);
}

async function checkDeployment(
  client: Client,
  url: string,
  mailbox: string | undefined,
  given: Credentials | undefined,
): Promise<number> {
  const startedAt = performance.now();
  let passed = 0;
  const step: Step = async (name, run) => {
    const stepStartedAt = performance.now();
    process.stdout.write(`  ${name.padEnd(58)}`);
    const result = await run();
    passed += 1;
    console.log(`${(performance.now() - stepStartedAt).toFixed(0).padStart(6)} ms`);
    return result;
  };
  console.log(`${url}\n`);
  try {
    await checkPublicRoutes(client, step);
    if (mailbox === undefined && given !== undefined) {
      console.log('  registration and its mail: skipped without --mailbox');
      await useAccount(client, step, given);
    } else if (mailbox !== undefined) {
      const own = await register(client, step, mailbox);
      await useAccount(client, step, own);
      await deleteAccount(client, step, own);
    }
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
    console.log(`\n${passed} passed, 0 failed, in ${seconds} s`);
    return 0;
  } catch (error) {
    console.log('FAILED');
    console.log(`\n  ${describe(error)}`);
    console.log(`\n${passed} passed, 1 failed; the steps after it were skipped`);
    return 1;
  }
}

async function checkPublicRoutes(client: Client, step: Step): Promise<void> {
  await step('it is live', () => client.expect(200, '/health/live'));
  await step('it is ready', () => client.expect(200, '/health/ready'));
  await step('its API is documented', async () => {
    const { json } = await client.expect(200, '/openapi.json');
    check(String(json['openapi']).startsWith('3.1'), 'openapi.json is not OpenAPI 3.1');
  });
  await step('an unknown page is a 404 problem', () =>
    client.expectProblem(404, 'not_found', '/no-such-page'),
  );
  await step('users need a login: 401', () => client.expect(401, '/users'));
}

async function register(client: Client, step: Step, mailbox: string): Promise<Credentials> {
  const tag = randomBytes(6).toString('hex');
  const own = { email: `smoke-${tag}@example.com`, password: `smoke test ${tag} passphrase` };
  const registration = { ...own, name: `Smoke ${tag}` };
  await step('a registration without a password is a 422 problem', () =>
    client.expect(422, '/auth/register', {
      method: 'POST',
      body: { email: own.email, name: registration.name },
    }),
  );
  await step('an admin registers', () =>
    client.expect(202, '/auth/register', { method: 'POST', body: registration }),
  );
  await step('logging in before confirmation is a 403 problem', () =>
    client.expectProblem(403, 'email_not_confirmed', '/auth/login', { method: 'POST', body: own }),
  );
  const token = await step('the confirmation mail arrives', () =>
    createMailFinder(mailbox).waitForToken(own.email, mailTimeoutMs),
  );
  await step('its link shows a page and confirms nothing yet', async () => {
    const path = `/auth/confirm?token=${encodeURIComponent(token)}`;
    const { headers } = await client.expect(200, path, { accept: 'text/html' });
    check(headers.get('content-type')?.startsWith('text/html') === true, 'it is not a page');
    await client.expect(403, '/auth/login', { method: 'POST', body: own });
  });
  await step('a wrong password there confirms nothing', () =>
    client.expectProblem(403, 'wrong_password', '/auth/confirm', {
      method: 'POST',
      body: { token, password: 'a password of somebody else' },
    }),
  );
  await step('its form with the right password confirms the address', () =>
    client.expect(200, '/auth/confirm', {
      method: 'POST',
      body: { token, password: own.password },
    }),
  );
  return own;
}

async function useAccount(client: Client, step: Step, login: Credentials): Promise<void> {
  await step('a wrong password is a 401 problem', () =>
    client.expectProblem(401, 'invalid_credentials', '/auth/login', {
      method: 'POST',
      body: { email: login.email, password: 'not the right passphrase' },
    }),
  );
  const token = await step('the admin logs in', () => logIn(client, login));
  await step('/auth/me is the admin', async () => {
    const { json } = await client.expect(200, '/auth/me', { token });
    check(
      String(json['email']).toLowerCase() === login.email.toLowerCase(),
      '/auth/me is another admin',
    );
  });
  await manageUsers(client, step, token, '/users', (id) => `/users/${id}`);
  await manageUsers(client, step, token, '/user', (id) => `/user?id=${id}`);
  await step('the admin logs out, and the token is revoked', async () => {
    await client.expect(204, '/auth/logout', { method: 'POST', token });
    await client.expect(401, '/auth/me', { token });
  });
}

/** The same steps for both forms of the routes: `/users/ID` and the original application's `/user?id=ID`. */
async function manageUsers(
  client: Client,
  step: Step,
  token: string,
  collection: string,
  pathOf: (id: string) => string,
): Promise<void> {
  const email = `user-${randomBytes(6).toString('hex')}@example.com`;
  const id = await step(`POST ${collection} creates a user`, async () => {
    const body = { email, name: 'Grace Hopper' };
    const { json } = await client.expect(201, collection, { method: 'POST', token, body });
    check(Number.isInteger(json['id']), 'the user has no id');
    return String(json['id']);
  });
  const path = pathOf(id);
  await step('the same address again is a 409 problem', () =>
    client.expectProblem(409, 'email_taken', collection, {
      method: 'POST',
      token,
      body: { email },
    }),
  );
  await step(`GET ${pathOf('ID')} reads it`, async () => {
    const { json } = await client.expect(200, path, { token });
    check(json['email'] === email, `its address is ${String(json['email'])}`);
  });
  await step(`PUT ${pathOf('ID')} changes it`, async () => {
    const body = { email, name: 'Rear Admiral Hopper' };
    const { json } = await client.expect(200, path, { method: 'PUT', token, body });
    check(json['name'] === body.name, `its name is ${String(json['name'])}`);
  });
  await step('GET /users lists it', async () => {
    const { text, headers } = await client.expect(200, '/users?limit=100', { token });
    const isOnLaterPage = headers.get('link')?.includes('rel="next"') === true;
    check(text.includes(email) || isOnLaterPage, 'the user is not in the list');
  });
  await step(`DELETE ${pathOf('ID')} removes it; then it is a 404 problem`, async () => {
    await client.expect(204, path, { method: 'DELETE', token });
    await client.expectProblem(404, 'not_found', path, { token });
  });
}

async function deleteAccount(client: Client, step: Step, own: Credentials): Promise<void> {
  const token = await step('the admin logs in again', () => logIn(client, own));
  await step('the account is deleted, and its login with it', async () => {
    const body = { current_password: own.password };
    await client.expect(204, '/auth/me', { method: 'DELETE', token, body });
    await client.expectProblem(401, 'invalid_credentials', '/auth/login', {
      method: 'POST',
      body: own,
    });
  });
}

async function logIn(client: Client, login: Credentials): Promise<string> {
  const { json } = await client.expect(200, '/auth/login', { method: 'POST', body: login });
  const token = json['access_token'];
  if (typeof token !== 'string') throw new Error('the login has no access_token');
  return token;
}

function credentialsIn({ inherited }: DevEnv): Credentials | undefined {
  const email = inherited['SMOKE_EMAIL'];
  const password = inherited['SMOKE_PASSWORD'];
  return email && password ? { email, password } : undefined;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
