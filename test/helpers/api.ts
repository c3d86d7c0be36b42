import test from 'ava';
import { createAdmins, mailedToken, type AdminFactory } from './admins.js';
import { createClient, type ApiClient } from './api-client.js';
import type { TestContext } from './context.js';
import type { Overrides } from './env.js';
import { createMailbox, type Mailbox } from './mailbox.js';
import { startApi, startWorker, type ServerProcess } from './processes.js';
import { runApi, runWorker, type RunningServer } from './servers.js';

/** An API of the test file's own, and ways to talk to it. Known once the file's `before` hooks run. */
export interface ApiUnderTest<S extends RunningServer = RunningServer> {
  readonly server: S;
  readonly client: ApiClient;
  readonly admins: AdminFactory;
}

/** An API and a worker side by side. */
export interface SystemUnderTest<S extends RunningServer = RunningServer> extends ApiUnderTest<S> {
  readonly worker: S;
  readonly mailbox: Mailbox;
}

/** How the servers of a file are started. */
export interface UseOptions {
  readonly env?: Overrides;
}

/**
 * Runs an API in the file's own process, on the real servers, as `api/main.ts` would. No worker runs: admins are
 * confirmed by tokens minted in the test.
 */
export const useApi = (context: TestContext, options: UseOptions = {}): ApiUnderTest =>
  onceFor(context, `API ${JSON.stringify(options)}`, () =>
    withApi(context, () => runApi(context, options)),
  );

/** The same in a process of its own, for what the process is the subject of. */
export const useApiProcess = (
  context: TestContext,
  options: UseOptions = {},
): ApiUnderTest<ServerProcess> => withApi(context, () => startApi(context, options));

/** Runs an API and a worker in the file's own process. Admins are confirmed by the links in their mails. */
export const useSystem = (context: TestContext, options: UseOptions = {}): SystemUnderTest =>
  onceFor(context, `system ${JSON.stringify(options)}`, () =>
    withWorker(context, useApi(context, options), () => runWorker(context, options)),
  );

/** The same in two processes of their own, for what they are the subject of. */
export const useSystemProcesses = (
  context: TestContext,
  options: UseOptions = {},
): SystemUnderTest<ServerProcess> =>
  withWorker(context, useApiProcess(context, options), () => startWorker(context, options));

const ofContext = new WeakMap<TestContext, Map<string, unknown>>();

/** Files that share a context share its servers. */
function onceFor<T>(context: TestContext, what: string, make: () => T): T {
  const made = ofContext.get(context) ?? new Map<string, unknown>();
  ofContext.set(context, made);
  if (!made.has(what)) made.set(what, make());
  return made.get(what) as T;
}

function withApi<S extends RunningServer>(
  context: TestContext,
  start: () => Promise<S>,
): ApiUnderTest<S> {
  let server: S | undefined;
  test.serial.before('start the API', async () => {
    server = await start();
  });
  return {
    get server() {
      return started(server);
    },
    get client() {
      return createClient(started(server).url);
    },
    get admins() {
      return createAdmins(context, createClient(started(server).url));
    },
  };
}

function withWorker<S extends RunningServer>(
  context: TestContext,
  api: ApiUnderTest<S>,
  start: () => Promise<S>,
): SystemUnderTest<S> {
  let worker: S | undefined;
  test.serial.before('start the worker', async () => {
    worker = await start();
  });
  return {
    get server() {
      return api.server;
    },
    get client() {
      return api.client;
    },
    get admins() {
      return createAdmins(context, api.client, mailedToken(context));
    },
    get worker() {
      return started(worker);
    },
    mailbox: createMailbox(context.stack),
  };
}

function started<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('it is started only once the hooks have run');
  return value;
}
