import bcrypt from 'bcrypt';
import type { Database } from '../../shared/database/connect.js';
import { Admin } from '../../shared/models/index.js';
import { createClient, type ApiClient } from '../helpers/api-client.js';
import type { Scope, TestContext } from '../helpers/context.js';
import { openOwnServer } from './own-server.js';

/** What an API has done since the counts were last set back. */
export interface CountedWork {
  /** Each hash or comparison, with its work factor. */
  hashes: string[];
  statements: number;
}

/** Starts an API in this process, so that what it does can be counted. One at a time: it counts all that bcrypt does. */
export async function startCounting(
  scope: Scope,
  context: TestContext,
): Promise<{ client: ApiClient; work: CountedWork }> {
  const { url } = await openOwnServer(scope, context);
  const work: CountedWork = { hashes: [], statements: 0 };
  const { hash, compare } = bcrypt;
  const counted = {
    hash: (text: string, cost: number): Promise<string> => {
      work.hashes.push(`hash ${cost}`);
      return hash(text, cost);
    },
    compare: (text: string, digest: string): Promise<boolean> => {
      work.hashes.push(`compare ${bcrypt.getRounds(digest)}`);
      return compare(text, digest);
    },
  };
  Object.assign(bcrypt, counted);
  scope.teardown(() => void Object.assign(bcrypt, { hash, compare }));
  // The models are on the database that was opened last.
  const database = Admin.sequelize as Database;
  database.addHook('beforeQuery', () => void (work.statements += 1));
  const { run } = database.statements;
  const counting: typeof run = (statement, values) => {
    work.statements += 1;
    return run(statement, values);
  };
  Object.assign(database.statements, { run: counting });
  return { client: createClient(url), work };
}
