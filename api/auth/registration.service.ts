import { Op, QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';
import { violates } from '../../shared/database/failures.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { sendAccountExistsMail } from '../../shared/jobs/index.js';
import { Admin, OutboxMessage } from '../../shared/models/index.js';
import type { Outbox } from '../../shared/outbox/outbox.js';
import type { Confirmations } from './confirmations.js';
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
  readonly outbox: Outbox;
  readonly passwords: Passwords;
  readonly confirmations: Confirmations;
  /** Multiplies the cap on notices to one address. */
  readonly rateLimitScale: number;
}

/** Registering, and proving that an address is one's own. */
export type RegistrationService = ReturnType<typeof createRegistrationService>;

const DAY_MS = 86_400_000;
const MAX_NOTICES_PER_DAY = 1;
/** A second registration within this time finds the first one's mail on its way, and needs no other. */
const MAIL_ON_ITS_WAY_MS = 30_000;

/** Nobody can learn from these calls which addresses have accounts: what differs is told by mail alone. */
export function createRegistrationService(deps: RegistrationDeps) {
  const { database, outbox, passwords, confirmations } = deps;
  const maxNoticesPerDay = Math.max(1, Math.floor(MAX_NOTICES_PER_DAY * deps.rateLimitScale));

  /**
   * Registers an admin, pending until the mailed link is followed. An address that is already pending takes the new
   * name and password; the owner of a confirmed one is told by mail.
   * @throws {AppError} `password_too_common`; `name_taken` when a confirmed admin bears the name, whatever the address.
   */
  async function register({ email, name, password }: Registration, traceId: string): Promise<void> {
    refuseCommonPassword(password, { email: email.canonical, name });
    const nameCanonical = canonicalName(name);
    if (await isNameTaken(nameCanonical)) throw new AppError('name_taken');
    const credentials = { name, nameCanonical, passwordHash: await passwords.hash(password) };
    await withTransaction(database, async (tx) => {
      const isNew = await insertAdmin(database, tx, email, credentials);
      const admin = await lockAdmin(tx, email);
      if (!admin) return; // deleted between the two statements: as if it had been deleted right after
      if (admin.confirmedAt !== null) {
        await notifyOwner(tx, admin, traceId);
        return;
      }
      if (!isNew) await admin.update({ email: email.address, ...credentials }, { transaction: tx });
      const isMailOnItsWay =
        !isNew && (await confirmations.wasAskedWithin(tx, admin, MAIL_ON_ITS_WAY_MS));
      if (!isMailOnItsWay) await confirmations.ask(tx, admin, traceId);
    });
  }

  /** Sends a pending admin another link; the links before it are void. Does nothing for anybody else. */
  async function resend(email: EmailAddress, traceId: string): Promise<void> {
    await withTransaction(database, async (tx) => {
      const admin = await lockAdmin(tx, email);
      if (admin?.confirmedAt === null) await confirmations.ask(tx, admin, traceId);
    });
  }

  /**
   * Confirms the address that a token was mailed to; a second time it does nothing.
   * @param newName taken in place of the registered one.
   * @throws {AppError} `invalid_token` for a token that is wrong, void or expired; `name_taken` when somebody has
   *   confirmed the same name first: the token stays good.
   */
  async function confirm(token: string, newName: string | undefined): Promise<void> {
    const rename =
      newName === undefined ? {} : { name: newName, nameCanonical: canonicalName(newName) };
    try {
      await withTransaction(database, async (tx) => {
        const answered = await confirmations.answer(tx, token);
        if (!answered) return;
        const { adminId, confirmedAt } = answered;
        await Admin.update({ confirmedAt, ...rename }, { where: { id: adminId }, transaction: tx });
      });
    } catch (error) {
      if (violates(error, 'admins_confirmed_name_key'))
        throw new AppError('name_taken', { cause: error });
      throw error;
    }
  }

  async function notifyOwner(tx: Transaction, admin: Admin, traceId: string): Promise<void> {
    const createdAt = { [Op.gt]: new Date(Date.now() - DAY_MS) };
    const recent = await OutboxMessage.count({
      where: { adminId: admin.id, name: sendAccountExistsMail.name, createdAt },
      transaction: tx,
    });
    if (recent >= maxNoticesPerDay) return;
    await outbox.enqueue(
      tx,
      sendAccountExistsMail,
      { v: 1, admin_id: admin.id },
      { adminId: admin.id, traceId },
    );
  }

  return { register, resend, confirm };
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
  credentials: { name: string; nameCanonical: string; passwordHash: string },
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

function lockAdmin(tx: Transaction, email: EmailAddress): Promise<Admin | null> {
  return Admin.findOne({
    where: { emailCanonical: email.canonical },
    lock: tx.LOCK.UPDATE,
    transaction: tx,
  });
}
