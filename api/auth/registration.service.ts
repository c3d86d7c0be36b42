import { randomBytes } from 'node:crypto';
import { Op, QueryTypes } from 'sequelize';
import { v7 as uuidv7 } from 'uuid';
import type { KeyRing } from '../../shared/crypto/keys.js';
import type { Database } from '../../shared/database/connect.js';
import { violates } from '../../shared/database/failures.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import { confirmationIdOf, isConfirmationToken } from '../../shared/identity/confirmation-token.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { sendAccountExistsMail, sendConfirmationMail } from '../../shared/jobs/index.js';
import { Admin, Confirmation, OutboxMessage } from '../../shared/models/index.js';
import type { Outbox } from '../../shared/outbox/outbox.js';
import { canonicalName } from './names.js';
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
  readonly confirmationKeys: KeyRing;
  readonly confirmationExpiresMs: number;
  /** Multiplies the caps on mail to one address. */
  readonly rateLimitScale: number;
}

/** Registering, and proving that an address is one's own. */
export type RegistrationService = ReturnType<typeof createRegistrationService>;

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MAX_CONFIRMATIONS_PER_HOUR = 3;
const MAX_NOTICES_PER_DAY = 1;
/** A second registration within this time finds the first one's mail on its way, and needs no other. */
const MAIL_ON_ITS_WAY_MS = 30_000;

/** Nobody can learn from these calls which addresses have accounts: what differs is told by mail alone. */
export function createRegistrationService(deps: RegistrationDeps) {
  const { database, outbox, passwords, confirmationKeys, confirmationExpiresMs, rateLimitScale } = deps;

  /**
   * Registers an admin, pending until the mailed link is followed. An address that is already pending takes the new
   * name and password; the owner of a confirmed one is told by mail.
   * @throws {AppError} `name_taken` when a confirmed admin bears the name, whatever the address.
   */
  async function register({ email, name, password }: Registration, traceId: string): Promise<void> {
    const nameCanonical = canonicalName(name);
    if (await isNameTaken(nameCanonical)) throw new AppError('name_taken');
    const passwordHash = await passwords.hash(password);
    const credentials = { name, nameCanonical, passwordHash };
    await withTransaction(database, async (tx) => {
      const created = await insertAdmin(database, tx, email, credentials);
      const admin = await lockAdmin(tx, email);
      if (!admin) return; // deleted between the two statements: as if it had been deleted right after
      if (admin.confirmedAt !== null) return notifyOwner(tx, admin, traceId);
      if (!created) await admin.update({ email: email.address, ...credentials }, { transaction: tx });
      if (created || !(await wasAskedWithin(tx, admin, MAIL_ON_ITS_WAY_MS))) await ask(tx, admin, traceId);
    });
  }

  /** Sends a pending admin another link; the links before it are void. Does nothing for anybody else. */
  async function resend(email: EmailAddress, traceId: string): Promise<void> {
    await withTransaction(database, async (tx) => {
      const admin = await lockAdmin(tx, email);
      if (admin && admin.confirmedAt === null) await ask(tx, admin, traceId);
    });
  }

  /**
   * Confirms the address that a token was mailed to; a second time it does nothing.
   * @param newName taken in place of the registered one.
   * @throws {AppError} `invalid_token` for a token that is wrong, void or expired; `name_taken` when somebody has
   *   confirmed the same name first: the token stays good.
   */
  async function confirm(token: string, newName: string | undefined): Promise<void> {
    const id = confirmationIdOf(token);
    if (id === undefined) throw new AppError('invalid_token');
    try {
      await withTransaction(database, async (tx) => {
        const confirmation = await Confirmation.findOne({ where: { id, purpose: 'registration' }, lock: tx.LOCK.UPDATE, transaction: tx });
        if (!confirmation || !isConfirmationToken(confirmationKeys, confirmation, token)) throw new AppError('invalid_token');
        if (confirmation.confirmedAt !== null) return;
        if (confirmation.supersededAt !== null || confirmation.expiresAt <= new Date()) throw new AppError('invalid_token');
        const confirmedAt = new Date();
        const rename = newName === undefined ? {} : { name: newName, nameCanonical: canonicalName(newName) };
        await confirmation.update({ confirmedAt }, { transaction: tx });
        await Admin.update({ confirmedAt, ...rename }, { where: { id: confirmation.adminId }, transaction: tx });
      });
    } catch (error) {
      if (violates(error, 'admins_confirmed_name_key')) throw new AppError('name_taken', { cause: error });
      throw error;
    }
  }

  async function isNameTaken(nameCanonical: string): Promise<boolean> {
    return (await Admin.count({ where: { nameCanonical, confirmedAt: { [Op.ne]: null } } })) > 0;
  }

  async function ask(tx: Transaction, admin: Admin, traceId: string): Promise<void> {
    const recent = await Confirmation.count({
      where: { adminId: admin.id, purpose: 'registration', createdAt: { [Op.gt]: ago(HOUR_MS) } },
      transaction: tx,
    });
    if (recent >= scaled(MAX_CONFIRMATIONS_PER_HOUR)) return;
    await Confirmation.update(
      { supersededAt: new Date() },
      { where: { adminId: admin.id, purpose: 'registration', confirmedAt: null, supersededAt: null }, transaction: tx },
    );
    const confirmation = await Confirmation.create(
      {
        id: uuidv7(),
        adminId: admin.id,
        purpose: 'registration',
        email: admin.email,
        nonce: randomBytes(16),
        expiresAt: new Date(Date.now() + confirmationExpiresMs),
      },
      { transaction: tx },
    );
    await outbox.enqueue(tx, sendConfirmationMail, { v: 1, confirmation_id: confirmation.id }, { adminId: admin.id, traceId });
  }

  async function wasAskedWithin(tx: Transaction, admin: Admin, ms: number): Promise<boolean> {
    const where = { adminId: admin.id, purpose: 'registration' as const, supersededAt: null, createdAt: { [Op.gt]: ago(ms) } };
    return (await Confirmation.count({ where, transaction: tx })) > 0;
  }

  async function notifyOwner(tx: Transaction, admin: Admin, traceId: string): Promise<void> {
    const recent = await OutboxMessage.count({
      where: { adminId: admin.id, name: sendAccountExistsMail.name, createdAt: { [Op.gt]: ago(DAY_MS) } },
      transaction: tx,
    });
    if (recent >= scaled(MAX_NOTICES_PER_DAY)) return;
    await outbox.enqueue(tx, sendAccountExistsMail, { v: 1, admin_id: admin.id }, { adminId: admin.id, traceId });
  }

  const scaled = (limit: number): number => Math.max(1, Math.floor(limit * rateLimitScale));

  return { register, resend, confirm };
}

const ago = (ms: number): Date => new Date(Date.now() - ms);

/** Inserts a pending admin unless the address is known; the constraint decides, so two at once make one. */
async function insertAdmin(
  database: Database,
  tx: Transaction,
  email: EmailAddress,
  { name, nameCanonical, passwordHash }: { name: string; nameCanonical: string; passwordHash: string },
): Promise<boolean> {
  const rows = await database.query<{ id: number }>(
    `insert into admins (email, email_canonical, name, name_canonical, password_hash)
     values ($address, $canonical, $name, $nameCanonical, $passwordHash)
     on conflict on constraint admins_email_key do nothing
     returning id`,
    { bind: { ...email, name, nameCanonical, passwordHash }, transaction: tx, type: QueryTypes.SELECT },
  );
  return rows.length > 0;
}

function lockAdmin(tx: Transaction, email: EmailAddress): Promise<Admin | null> {
  return Admin.findOne({ where: { emailCanonical: email.canonical }, lock: tx.LOCK.UPDATE, transaction: tx });
}
