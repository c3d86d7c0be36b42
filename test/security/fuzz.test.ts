import { Agent, request as httpRequest } from 'node:http';
import { text } from 'node:stream/consumers';
import test from 'ava';
import fc from 'fast-check';
import { mintedToken, type TestAdmin } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { loadContract, type Exchange } from '../helpers/contract.js';
import { operationsOf, readDocument } from '../helpers/openapi.js';
import type { LogLine } from '../helpers/processes.js';
import { fuzzRequests, type Recipe, type World } from './fuzz-requests.js';

const context = useContext();
const api = useApi(context, { env: { LOG_LEVEL: 'warn', FIREHOSE_DELIVERY_STREAM: undefined } });
const contract = loadContract();
const document = readDocument();

const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 20_000);
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);
/** After so many requests the accounts are new: the fuzzing uses them up. */
const ROUND = 500;
const CONCURRENCY = 16;
const MAX_SHOWN = 5;

test(`S66 ${REQUESTS} requests, good, nearly good and hostile, get an answer that fits the document, and none breaks the process`, async (t) => {
  t.timeout(600_000);
  t.log(`FUZZ_SEED=${SEED} FUZZ_REQUESTS=${REQUESTS}`);
  const agent = new Agent({ keepAlive: true, maxSockets: CONCURRENCY });
  t.teardown(() => agent.destroy());
  const requests = fuzzRequests(document);
  const other = await api.admins.confirmedAdmin();
  const statuses = new Map<string, Set<number>>();
  const failures: string[] = [];

  for (let made = 0; made < REQUESTS && failures.length < MAX_SHOWN; made += ROUND) {
    const world = await makeWorld(other);
    const recipes = fc.sample(requests, {
      seed: SEED + made,
      numRuns: Math.min(ROUND, REQUESTS - made),
    });
    const next = recipes.values();
    const work = async (): Promise<void> => {
      for (const recipe of next) {
        const { status, fault } = await send(agent, materialize(recipe, world));
        const seen = statuses.get(recipe.operation) ?? new Set();
        statuses.set(recipe.operation, seen.add(status));
        if (fault !== undefined) failures.push(`${fault}\n${show(recipe)}`);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, work));
    t.deepEqual(failures.slice(0, MAX_SHOWN), [], `FUZZ_SEED=${SEED}`);
  }

  t.false(api.process.hasEnded());
  t.is((await api.client.get('/health/ready')).status, 200);
  t.deepEqual(
    api.process.logLines().filter((line) => line['log.level'] !== 'warn'),
    [],
  );
  t.is(api.process.stderr(), '');
  for (const { method, path } of operationsOf(document)) {
    const seen = [...(statuses.get(`${method} ${path}`) ?? [])];
    t.true(
      seen.some((status) => status < 300),
      `${method} ${path} has never succeeded: ${seen.join()}`,
    );
  }
});

/** Accounts, rows and tokens to be used up in one round. */
async function makeWorld(other: TestAdmin): Promise<World> {
  const admin = await api.admins.confirmedAdmin();
  const spare = await api.admins.confirmedAdmin();
  const pending = await api.admins.registerAdmin();
  const tokenOf = mintedToken(context);
  const confirmationToken = await tokenOf(pending.email);
  const [{ refresh_token: refreshToken }] = [await api.admins.logIn(admin)];
  await api.admins.logIn(admin);
  const { body: sessions } = await admin.client.get<{ id: number }[]>('/auth/sessions');
  const { body: user } = await admin.client.post<{ id: number }>('/users', { email: 'one@x.test' });
  await admin.client.post('/users', { email: 'two@x.test' });
  const { headers } = await admin.client.get('/users?limit=1');
  await api.client.post('/auth/password/forgot', { email: admin.email });
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
    confirmationToken,
    spareToken: spare.login.access_token,
    sparePassword: spare.password,
    otherToken: other.login.access_token,
  };
}

let uniqueNumber = 0;

/** The recipe with what the run knows in the places that it has left open. */
function materialize(recipe: Recipe, world: World): Recipe {
  const unique = String(++uniqueNumber);
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

/** Asks, and resolves to the status and to what is wrong with the answer, if anything is. */
async function send(agent: Agent, recipe: Recipe): Promise<{ status: number; fault?: string }> {
  try {
    const answer = await ask(agent, recipe);
    const { status } = answer;
    if (status >= 500) return { status, fault: `answered ${status}: ${await reasonOf(answer)}` };
    // OPTIONS is answered for every path, and documented for none.
    if (recipe.method !== 'OPTIONS' || status !== 204) contract.check(answer);
    return { status };
  } catch (error) {
    return { status: 0, fault: String(error) };
  }
}

/** What the process itself has said about the failure. */
async function reasonOf({ headers }: Exchange): Promise<string> {
  const id = headers.get('x-request-id');
  const isAboutIt = (line: LogLine): boolean =>
    line['http.request.id'] === id && line['error.message'] !== undefined;
  const line = await api.process.waitForLine(isAboutIt);
  return `${String(line['error.message'])} ${String(line['error.stack_trace'])}`;
}

function ask(agent: Agent, { method, target, headers, body }: Recipe) {
  return new Promise<Exchange>((resolve, reject) => {
    const { hostname, port } = new URL(api.process.url);
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const request = httpRequest({
      agent,
      hostname,
      port,
      method,
      path: target,
      headers: { ...headers, ...length },
      timeout: 20_000,
    });
    request.once('timeout', () => request.destroy(new Error('not answered in time')));
    request.once('error', reject);
    request.once('response', (response) => {
      const given = new Headers(
        Object.entries(response.headers).map(([name, value]) => [name, String(value)]),
      );
      const { statusCode: status = 0 } = response;
      text(response)
        .then((received) => {
          const isJson = /\bjson\b/.test(given.get('content-type') ?? '') && received !== '';
          resolve({
            method,
            path: target,
            status,
            headers: given,
            body: isJson ? (JSON.parse(received) as unknown) : received,
          });
        })
        .catch(reject);
    });
    request.end(body);
  });
}

const show = ({ body, ...recipe }: Recipe): string =>
  JSON.stringify({
    ...recipe,
    body: typeof body === 'string' ? body.slice(0, 2_000) : body && [...body].slice(0, 200),
  });
