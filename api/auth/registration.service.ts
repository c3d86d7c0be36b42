import { Op, QueryTypes } from 'sequelize';
import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { Admin } from '../../shared/models/index.js';
import type { AccountNotices } from './account-notices.js';
import { lockAdmin } from './admin-lock.js';
import type { Confirmations, Credentials } from './confirmations.js';
import { canonicalName } from './names.js';
import { refuseCommonPassword } from './password-policy.js';
import type { Passwords } from './passwords.js';

/** What somebody registers with. */
export interface Registration {
  readonly email: EmailAddress;
  readonly name: string;
  readonly password: string;
}

/** What registration is made of. */
export interface RegistrationDeps {
  readonly database: Database;
  readonly passwords: Passwords;
  readonly confirmations: Confirmations;
  readonly notices: AccountNotices;
  readonly audit: Audit;
}

/** Registering, up to the mail that asks whether the address is one's own. */
export type RegistrationService = ReturnType<typeof createRegistrationService>;

/** The same registration within this time finds the first one's mail on its way, and needs no other. */
const MAIL_ON_ITS_WAY_MS = 30_000;

/** What comes of entering a registration. */
type Entry =
  /** There is nothing more to do: it is entered, or the owner of a confirmed address is told instead. */
  | { readonly kind: 'done' }
  /** It is not entered: one under the same name, made with this hash, has its mail still on its way. */
  | { readonly kind: 'maybeSame'; readonly passwordHash: string };

const DONE: Entry = { kind: 'done' };

/** The answers and what they take are the same for all addresses: what differs is told by mail alone. */
export function createRegistrationService(deps: RegistrationDeps) {
  const { database, passwords, confirmations, notices, audit } = deps;

  /**
   * Registers an admin, pending until the mailed link is followed. Each registration has its own link, which brings
   * its own name and password into force: somebody else's registration of the same address cannot slip its password
   * under the owner's link. The owner of a confirmed address is told by mail.
   * @throws {AppError} `password_too_common`; `name_taken` when a confirmed admin bears the name, whatever the address.
   */
  async function register({ email, name, password }: Registration, cause: Cause): Promise<void> {
    refuseCommonPassword(password, { email: email.canonical, name });
    const nameCanonical = canonicalName(name);
    if (await isNameTaken(nameCanonical)) throw new AppError('name_taken');
    await passwords.reserve(async () => {
      const credentials = { name, nameCanonical, passwordHash: await passwords.hash(password) };
      const entry = await enter(email, credentials, cause, { unlessRepeated: true });
      const earlier = entry.kind === 'maybeSame' ? entry : null;
      // Made for every address: only a pending one has an earlier registration, and nobody shall see that by the time.
      const isRepeated = await passwords.verify(password, () => Promise.resolve(earlier));
      if (earlier && !isRepeated) await enter(email, credentials, cause, { unlessRepeated: false });
    });
  }

  /** Enters a registration; if asked to, not when there is one that it may repeat. */
  function enter(
    email: EmailAddress,
    credentials: Credentials,
    cause: Cause,
    { unlessRepeated }: { readonly unlessRepeated: boolean },
  ): Promise<Entry> {
    return withTransaction(database, async (tx) => {
      const isNew = await insertAdmin(database, tx, email, credentials);
      const admin = await lockAdmin(tx, { emailCanonical: email.canonical });
      if (!admin) return DONE; // deleted between the two statements: as if it had been deleted right after
      const adminId = admin.id;
      if (admin.confirmedAt !== null) {
        await notices.tellAccountExists(tx, admin, cause.traceId);
        return DONE;
      }
      if (unlessRepeated) {
        const { nameCanonical } = credentials;
        const recent = { adminId, nameCanonical, withinMs: MAIL_ON_ITS_WAY_MS };
        const earlier = await confirmations.findRegistration(tx, recent);
        if (earlier) return { kind: 'maybeSame', ...earlier };
      }
      if (isNew) await audit.record('user_created', cause, { adminId }, tx);
      const question = { adminId, purpose: 'registration', email: email.address } as const;
      const isAsked = await confirmations.ask(tx, { ...question, credentials }, cause.traceId);
      if (isAsked && !isNew)
        await admin.update({ email: email.address, ...credentials }, { transaction: tx });
      return DONE;
    });
  }

  /**
   * Sends a pending admin a new link in place of each that its registrations still have, expired or not, up to the cap.
   * Each brings into force what its own registration was made with, and no other's. Does nothing for anybody else.
   */
  async function resend(email: EmailAddress, cause: Cause): Promise<void> {
    await withTransaction(database, async (tx) => {
      const admin = await lockAdmin(tx, { emailCanonical: email.canonical });
      if (admin?.confirmedAt !== null) return;
      for (const question of await confirmations.openRegistrations(tx, admin.id))
        await confirmations.ask(tx, question, cause.traceId);
    });
  }

  return { register, resend };
}

/** Early word for the client; the unique index has the last one, at confirmation. */
async function isNameTaken(nameCanonical: string): Promise<boolean> {
  return (await Admin.count({ where: { nameCanonical, confirmedAt: { [Op.ne]: null } } })) > 0;
}

/** Inserts a pending admin unless the address is known; the constraint decides, so two at once make one. */
async function insertAdmin(
  database: Database,
  tx: Transaction,
  email: EmailAddress,
  credentials: Credentials,
): Promise<boolean> {
  const rows = await database.query<{ id: number }>(
    `insert into admins (email, email_canonical, name, name_canonical, password_hash)
     values ($address, $canonical, $name, $nameCanonical, $passwordHash)
     on conflict on constraint admins_email_key do nothing
     returning id`,
    { bind: { ...email, ...credentials }, transaction: tx, type: QueryTypes.SELECT },
  );
  return rows.length > 0;
}
