import { Agent, request as httpRequest } from 'node:http';
import { text } from 'node:stream/consumers';
import test from 'ava';
import fc from 'fast-check';
import { useApiProcess } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { loadContract, type Exchange } from '../helpers/contract.js';
import { eventually } from '../helpers/eventually.js';
import { operationsOf, readDocument } from '../helpers/openapi.js';
import type { LogLine } from '../helpers/processes.js';
import { fuzzRequests, type Recipe } from './fuzz-requests.js';
import { fillIn, makeWorld } from './fuzz-world.js';

const context = useContext();
const api = useApiProcess(context, {
  env: { LOG_LEVEL: 'warn', FIREHOSE_DELIVERY_STREAM: undefined },
});
const contract = loadContract();
const document = readDocument();

test.serial(
  'S13 what the code has beyond ASCII, in patterns and pages, is in the bundle',
  async (t) => {
    const page = await api.client.get('/auth/confirm?token=x', {
      headers: { accept: 'text/html' },
    });
    t.regex(page.text, /<title>[^<]+ · Rollcall<\/title>/);
    const applicant = api.admins.applicant({ name: 'O’Соре' });
    t.is(
      (await api.client.post('/auth/register', applicant)).status,
      422,
      'scripts that look alike',
    );
  },
);

/** `FUZZ_REQUESTS=1000000 FUZZ_SEED=7` goes further than the run of every day. */
const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 3_000);
const SEED = Number(process.env['FUZZ_SEED'] ?? 1);
/** After so many requests the accounts are new: the fuzzing uses them up. */
const ROUND = 500;
const CONCURRENCY = 16;
const MAX_SHOWN = 5;

test(`S66 ${REQUESTS} requests, good, nearly good and hostile, get answers that fit the document, and none breaks the process`, async (t) => {
  t.timeout(60_000 + 40 * REQUESTS);
  t.log(`FUZZ_SEED=${SEED} FUZZ_REQUESTS=${REQUESTS}`);
  const agent = new Agent({ keepAlive: true, maxSockets: CONCURRENCY });
  t.teardown(() => agent.destroy());
  const recipes = fuzzRequests(document);
  const other = await api.admins.confirmedAdmin();
  const statuses = new Map<string, Set<number>>();
  let outOfTime = 0;

  const hasSucceeded = ({ method, path }: { method: string; path: string }): boolean =>
    [...(statuses.get(`${method} ${path}`) ?? [])].some((status) => status < 300);
  // An operation may have had no luck so far: its user was deleted, or its fields were always hostile.
  const isEnough = (made: number): boolean =>
    made >= 2 * REQUESTS || (made >= REQUESTS && operationsOf(document).every(hasSucceeded));

  for (let made = 0; !isEnough(made); made += ROUND) {
    const world = await makeWorld(context, api, other);
    const seed = SEED + made;
    const round = fc.sample(recipes, { seed, numRuns: ROUND }).entries();
    const failures: string[] = [];
    const work = async (): Promise<void> => {
      for (const [i, recipe] of round) {
        const sent = fillIn(recipe, world, String(made + i));
        const { status, fault } = await send(agent, sent, () => (outOfTime += 1));
        const seen = statuses.get(recipe.operation) ?? new Set();
        statuses.set(recipe.operation, seen.add(status));
        if (fault !== undefined) failures.push(`${fault}\n${show(sent)}`);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, work));
    t.deepEqual(failures.slice(0, MAX_SHOWN), [], `FUZZ_SEED=${SEED}, in round ${made / ROUND}`);
  }

  t.log(`asked again because a deadline had passed: ${outOfTime}`);
  t.false(api.server.hasEnded());
  await eventually(async () => (await api.client.get('/health/ready')).status === 200);
  t.deepEqual(
    // There is no worker, of which the operators are told.
    api.server
      .logLines()
      .filter((line) => line['log.level'] !== 'warn' && line['message'] !== 'alert raised'),
    [],
  );
  t.is(api.server.stderr(), '');
  for (const operation of operationsOf(document)) {
    const name = `${operation.method} ${operation.path}`;
    const seen = [...(statuses.get(name) ?? [])];
    t.true(hasSucceeded(operation), `${name} has never succeeded: ${seen.join()}`);
  }
});

const MAX_TRIES = 4;
const OUT_OF_TIME = /\btimeout\b|^overloaded$/i;

/**
 * Asks, and resolves to the status and to what is wrong with the answer, if anything is. On a machine that stands still
 * for seconds the API gives PostgreSQL up, as it must, and says so; then the request is made again.
 */
async function send(
  agent: Agent,
  recipe: Recipe,
  onOutOfTime: () => void,
  triesLeft = MAX_TRIES,
): Promise<{ status: number; fault?: string }> {
  try {
    const answer = await ask(agent, recipe);
    const { status } = answer;
    // Readiness is a report, red ones too: it fits the document, and is green again at the end.
    if (status >= 500 && recipe.operation !== 'get /health/ready') {
      const reason = await reasonOf(answer);
      if (status !== 503 || !OUT_OF_TIME.test(reason) || triesLeft === 1)
        return { status, fault: `answered ${status}: ${reason}` };
      onOutOfTime();
      return await send(agent, recipe, onOutOfTime, triesLeft - 1);
    }
    // OPTIONS is answered for every path, and documented for none.
    if (recipe.method !== 'OPTIONS' || status !== 204) contract.check(answer);
    return { status };
  } catch (error) {
    return { status: 0, fault: String(error) };
  }
}

/** What the process itself has said about the failure. */
async function reasonOf({ headers, body }: Exchange): Promise<string> {
  // Nothing is logged then: too many hashes wait.
  if (codeOf(body) === 'overloaded') return 'overloaded';
  const id = headers.get('x-request-id');
  const isAboutIt = (line: LogLine): boolean =>
    line['http.request.id'] === id && line['error.message'] !== undefined;
  const line = await api.server.waitForLine(isAboutIt);
  return `${String(line['error.message'])} ${String(line['error.stack_trace'])}`;
}

const codeOf = (body: unknown): unknown =>
  typeof body === 'object' && body !== null && 'code' in body ? body.code : undefined;

/** As it is: fetch would refuse to send much of it, and send the rest otherwise. */
function ask(agent: Agent, { method, target, headers, body }: Recipe): Promise<Exchange> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(api.server.url);
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const request = httpRequest({
      agent,
      hostname,
      port,
      method,
      path: target,
      headers: { ...headers, ...length },
      timeout: 120_000,
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
          const answered: unknown = isJson ? JSON.parse(received) : received;
          resolve({ method, path: target, status, headers: given, body: answered });
        })
        .catch(reject);
    });
    request.end(body);
  });
}

/** What was sent, so that it can be sent again. */
const show = ({ body, ...recipe }: Recipe): string =>
  JSON.stringify({
    ...recipe,
    body: typeof body === 'string' ? body.slice(0, 2_000) : body && [...body].slice(0, 200),
  });
