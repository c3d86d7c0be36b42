import { randomBytes } from 'node:crypto';
import { buildDeps, type ApiDeps } from '../../api/deps.js';
import { confirm } from '../../api/registration/confirm.service.js';
import { register } from '../../api/registration/registration.service.js';
import { logIn } from '../../api/sessions/login.service.js';
import { logOut } from '../../api/sessions/sessions.service.js';
import { createUser } from '../../api/users/users.service.js';
import type { Cause } from '../../shared/audit/audit.js';
import type { ApiConfig } from '../../shared/config/config.js';
import { AppError } from '../../shared/errors/app-error.js';
import { deriveConfirmationToken } from '../../shared/identity/confirmation-token.js';
import { parseEmailAddress, type EmailAddress } from '../../shared/identity/email-address.js';
import { deadlines } from '../../shared/lifecycle/deadlines.js';
import { createLifecycle } from '../../shared/lifecycle/lifecycle.js';
import { createLogger } from '../../shared/logging/logger.js';
import { Admin, Confirmation } from '../../shared/models/index.js';
import { randomPassword, type Login } from './secrets.js';

/** Creates example data through the API's services. */
export interface Seeder {
  /**
   * Creates a confirmed admin unless it exists. If the address belongs to an admin with another password (the database
   * is older than the data folder), creates one with a new address instead. Resolves to the working login.
   */
  ensureAdmin(wanted: Login & { readonly name: string }): Promise<Login>;
  /** Creates the admin's missing example users. Resolves to how many were added. */
  ensureExampleUsers(owner: Login): Promise<number>;
  close(): Promise<void>;
}

export async function openSeeder(config: ApiConfig): Promise<Seeder> {
  const log = createLogger({ service: 'rollcall-seed', ...config.logging, level: 'error' });
  // The seeder's process goes on when everything is released.
  const lifecycle = createLifecycle(log, deadlines.api.stopMs, () => undefined);
  const deps = await buildDeps(config, { log, onStop: lifecycle.onStop });

  async function ensureAdmin(wanted: Login & { readonly name: string }): Promise<Login> {
    const email = parse(wanted.email);
    const known = await findAdmin(email);
    if (known !== null) {
      if (await canLogIn(deps, email, wanted.password)) return loginOf(wanted);
      return ensureAdmin(variantOf(wanted));
    }
    await register(deps, { ...wanted, email }, seeding);
    await followLink(deps, email, wanted.password);
    return loginOf(wanted);
  }

  async function ensureExampleUsers(owner: Login): Promise<number> {
    const admin = await findAdmin(parse(owner.email));
    if (admin === null) throw new Error(`there is no admin ${owner.email}`);
    let added = 0;
    for (const [index, name] of exampleNames.entries()) {
      const address = `${name.toLowerCase().replaceAll(/[^a-z]+/g, '.')}@example.com`;
      const user = { email: parse(address), name, active: index % 5 !== 4 };
      added += await createUser(deps, admin.id, user).then(() => 1, ignoreTaken);
    }
    return added;
  }

  return { ensureAdmin, ensureExampleUsers, close: () => lifecycle.stop('seeded') };
}

const exampleNames = [
  'Alan Turing',
  'Barbara Liskov',
  'Donald Knuth',
  'Edsger Dijkstra',
  'Emmy Noether',
  'Frances Allen',
  'Grace Hopper',
  'Hedy Lamarr',
  'Ivan Sutherland',
  'John McCarthy',
  'Katherine Johnson',
  'Leslie Lamport',
];

function loginOf({ email, password }: Login): Login {
  return { email, password };
}

function parse(address: string): EmailAddress {
  const parsed = parseEmailAddress(address);
  if (parsed === undefined) throw new Error(`not an e-mail address: ${address}`);
  return parsed;
}

/** The cause that the audit trail records. */
const seeding: Cause = { traceId: randomBytes(16).toString('hex'), userAgent: 'seed' };

function findAdmin({ canonical }: EmailAddress): Promise<Admin | null> {
  return Admin.findOne({ where: { emailCanonical: canonical } });
}

async function canLogIn(deps: ApiDeps, email: EmailAddress, password: string): Promise<boolean> {
  try {
    const { admin, sessionId } = await logIn(deps, email, password, seeding);
    await logOut(deps, { admin, sessionId }, seeding);
    return true;
  } catch (error) {
    if (error instanceof AppError && error.code === 'invalid_credentials') return false;
    throw error;
  }
}

/** Confirms by the link that the worker would have mailed. */
async function followLink(
  deps: ApiDeps,
  { address, canonical }: EmailAddress,
  password: string,
): Promise<void> {
  const confirmation = await Confirmation.findOne({
    where: { emailCanonical: canonical, purpose: 'registration', supersededAt: null },
    order: [['id', 'DESC']],
  });
  if (confirmation === null) throw new Error(`there is no confirmation for ${address}`);
  const token = deriveConfirmationToken(deps.confirmationKeys, confirmation);
  await confirm(deps, { token, password }, seeding);
}

function variantOf({ email, name }: Login & { name: string }): Login & { name: string } {
  const tag = randomBytes(3).toString('hex');
  const [local = '', domain = ''] = email.split('@');
  return {
    email: `${local.split('-')[0]}-${tag}@${domain}`,
    name: `${name} ${tag}`,
    password: randomPassword(),
  };
}

function ignoreTaken(error: unknown): number {
  if (error instanceof AppError && error.code === 'email_taken') return 0;
  throw error;
}
