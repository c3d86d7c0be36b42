import pg from 'pg';
import { openStack, type Stack } from '../stack/stack.js';
import { runTool } from './tool.js';

/** The migrated, empty database that each test file copies. */
const templateDatabase = 'rollcall_template';

/** The servers that test files share. */
export interface TestStack {
  /** What a test process needs of its environment to find them. */
  readonly environment: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** How a stack for tests is opened. */
export interface TestStackOptions {
  readonly dataDir: string;
  readonly onProgress?: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Opens servers on free ports, with the database that test files copy. @throws when one of them cannot be had. */
export async function openTestStack(options: TestStackOptions): Promise<TestStack> {
  const stack = await openStack({ ...options, ports: 'any', durable: false });
  try {
    await makeTemplate(stack.postgresUrl, options.signal);
  } catch (error) {
    await stack.close();
    throw error;
  }
  return { environment: environmentOf(stack), close: () => stack.close() };
}

function environmentOf(stack: Stack): Record<string, string> {
  const { dataDir, postgresUrl, redisUrl, mail, mailboxUrl, firehoseUrl } = stack;
  const servers = { dataDir, postgresUrl, redisUrl, mail, mailboxUrl, firehoseUrl };
  return {
    NODE_ENV: 'test',
    TEST_STACK: JSON.stringify(servers),
    // Its warning about the version of Node would be repeated by each test file.
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
  };
}

async function makeTemplate(postgresUrl: string, signal: AbortSignal): Promise<void> {
  const client = new pg.Client({ connectionString: postgresUrl });
  await client.connect();
  try {
    await client.query(`drop database if exists ${templateDatabase} with (force)`);
    await client.query(`create database ${templateDatabase}`);
  } finally {
    await client.end();
  }
  const url = Object.assign(new URL(postgresUrl), { pathname: `/${templateDatabase}` }).href;
  const { succeeded, output } = await runTool([process.execPath, 'dist/migrations/run.js', 'up'], {
    env: { NODE_ENV: 'test', DATABASE_URL: url },
    signal,
  });
  if (!succeeded) throw new Error(`the template database cannot be migrated:\n${output}`);
}
