import { randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';
import { parseArgs } from 'node:util';
import { createOperatorsService } from '../api/auth/operators.service.js';
import { createAudit, type Cause } from '../shared/audit/audit.js';
import { loadToolConfig, loadOrExit } from '../shared/config/config.js';
import { openDatabase } from '../shared/database/connect.js';
import { AppError } from '../shared/errors/app-error.js';
import { parseEmailAddress } from '../shared/identity/email-address.js';
import { createLogger } from '../shared/logging/logger.js';

const EXIT_USAGE = 64;
const USAGE = `Rollcall's command line, for operators.

  operator grant EMAIL    make a confirmed admin an operator
  operator revoke EMAIL   take the role back

  --json                  answer with one JSON object
  --help                  this text

Exit code 0 only when it did what was asked.
`;

/** What a command answers: the same facts for people and for programs. */
interface Answer {
  readonly text: string;
  readonly facts: Readonly<Record<string, string | boolean>>;
}

const { values, positionals } = parse();
if (values.help) {
  process.stdout.write(USAGE);
} else {
  const [group, action, email, ...rest] = positionals;
  const isGrant = action === 'grant';
  if (
    group !== 'operator' ||
    (!isGrant && action !== 'revoke') ||
    email === undefined ||
    rest.length > 0
  )
    fail(USAGE);
  await answer(() => setOperator(email, isGrant));
}

async function setOperator(text: string, isOperator: boolean): Promise<Answer> {
  const email = parseEmailAddress(text);
  if (!email) throw new Error(`${text} is not an e-mail address`);
  const config = loadOrExit(() => loadToolConfig());
  const database = openDatabase(config.database, 'rollcall-cli');
  const log = createLogger({ service: 'rollcall-cli', ...config.logging, level: 'silent' });
  try {
    const operators = createOperatorsService({ database, audit: createAudit(log) });
    const changed = await operators.setOperator(email, isOperator, causeOfCommand());
    const role = isOperator ? 'operator' : 'admin';
    const state = changed ? 'is now' : 'is already';
    return {
      text: `${email.address} ${state} an ${role}`,
      facts: { email: email.address, role, changed },
    };
  } finally {
    await database.close();
  }
}

/** Who is at the keyboard stands in the audit's place of a browser. */
function causeOfCommand(): Cause {
  return { traceId: randomBytes(16).toString('hex'), userAgent: `cli/${userInfo().username}` };
}

async function answer(command: () => Promise<Answer>): Promise<void> {
  try {
    const { text, facts } = await command();
    process.stdout.write(values.json ? `${JSON.stringify({ ok: true, ...facts })}\n` : `${text}\n`);
  } catch (error) {
    const isUnknown = error instanceof AppError && error.code === 'not_found';
    const problem = isUnknown
      ? 'no confirmed admin has this address'
      : String(error instanceof Error ? error.message : error);
    if (values.json) process.stdout.write(`${JSON.stringify({ ok: false, problem })}\n`);
    else process.stderr.write(`${problem}\n`);
    process.exitCode = 1;
  }
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    });
  } catch (error) {
    return fail(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  }
}

function fail(text: string): never {
  process.stderr.write(text);
  process.exit(EXIT_USAGE);
}
