import test from 'ava';
import { createAdmins, mailedToken, type AdminFactory } from './admins.js';
import { createClient, type ApiClient } from './api-client.js';
import type { TestContext } from './context.js';
import type { Overrides } from './env.js';
import { createMailbox, type Mailbox } from './mailbox.js';
import { startApi, startWorker, type ServerProcess } from './processes.js';

/** An API of the test file's own, and ways to talk to it. Known once the file's `before` hooks run. */
export interface ApiUnderTest {
  readonly process: ServerProcess;
  readonly client: ApiClient;
  readonly admins: AdminFactory;
}

/** An API and a worker side by side. */
export interface SystemUnderTest extends ApiUnderTest {
  readonly worker: ServerProcess;
  readonly mailbox: Mailbox;
}

/** Starts an API for the file. No worker runs: admins are confirmed by tokens minted in the test. */
export function useApi(context: TestContext, { env = {} }: { env?: Overrides } = {}): ApiUnderTest {
  let process: ServerProcess | undefined;
  test.serial.before('start the API', async () => {
    process = await startApi(context, { env });
  });
  return {
    get process() {
      return started(process);
    },
    get client() {
      return createClient(started(process).url);
    },
    get admins() {
      return createAdmins(context, createClient(started(process).url));
    },
  };
}

/** Starts an API and a worker for the file. Admins are confirmed by the links in their mails. */
export function useSystem(
  context: TestContext,
  { env = {} }: { env?: Overrides } = {},
): SystemUnderTest {
  const api = useApi(context, { env });
  const mailbox = createMailbox(context.stack);
  let worker: ServerProcess | undefined;
  test.serial.before('start the worker', async () => {
    worker = await startWorker(context, { env });
  });
  return {
    get process() {
      return api.process;
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
    mailbox,
  };
}

function started<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('it is started only once the hooks have run');
  return value;
}
