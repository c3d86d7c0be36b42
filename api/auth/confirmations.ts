import { randomBytes } from 'node:crypto';
import { Op, QueryTypes } from 'sequelize';
import { v7 as uuidv7 } from 'uuid';
import type { KeyRing } from '../../shared/crypto/keys.js';
import type { Database } from '../../shared/database/connect.js';
import type { Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import { confirmationIdOf, isConfirmationToken } from '../../shared/identity/confirmation-token.js';
import { canonicalAddress } from '../../shared/identity/email-address.js';
import { sendConfirmationMail } from '../../shared/jobs/index.js';
import { Admin, Confirmation, type ConfirmationPurpose } from '../../shared/models/index.js';
import type { Outbox } from '../../shared/outbox/outbox.js';
import { lockAdmin } from './admin-lock.js';

/** What confirmations are made of. */
export interface ConfirmationsDeps {
  readonly database: Database;
  readonly outbox: Outbox;
  readonly keys: KeyRing;
  /** How long a link is good that proves an address. */
  readonly expiresMs: number;
  /** Multiplies the cap on links to one address. */
  readonly rateLimitScale: number;
}

/** Whom to ask, and for what. */
export interface Question {
  readonly adminId: number;
  readonly purpose: ConfirmationPurpose;
  /** Where the link is mailed to. */
  readonly email: string;
  /** What a registration was made with; its link brings just this into force. */
  readonly credentials?: Credentials;
}

/** A name and a password that are not in force yet. */
export interface Credentials {
  readonly name: string;
  readonly nameCanonical: string;
  readonly passwordHash: string;
}

/** A token's confirmation with its admin, who is locked. */
export interface Answer {
  readonly confirmation: Confirmation;
  readonly admin: Admin;
  /** False when the same token was taken before. */
  readonly isFirst: boolean;
}

/** Asking the owner of an address by a mailed link, and taking the answer. */
export type Confirmations = ReturnType<typeof createConfirmations>;

const HOUR_MS = 3_600_000;
const MAX_LINKS_PER_HOUR = 3;
/** Of all admins and purposes together: somebody who registers and then has forgotten the password stays below it. */
const MAX_LINKS_TO_ADDRESS_PER_HOUR = 6;
/** More than can be renewed at a time. */
const MAX_OPEN_REGISTRATIONS = 10;
/** A link that sets a password is good for less long than one that proves an address. */
const PASSWORD_RESET_EXPIRES_MS = HOUR_MS;

export function createConfirmations({
  database,
  outbox,
  keys,
  expiresMs,
  rateLimitScale,
}: ConfirmationsDeps) {
  const scaled = (limit: number): number => Math.max(1, Math.floor(limit * rateLimitScale));
  const maxLinksPerHour = scaled(MAX_LINKS_PER_HOUR);
  const maxLinksToAddressPerHour = scaled(MAX_LINKS_TO_ADDRESS_PER_HOUR);

  /**
   * Has a link mailed, and voids the ones before it; of registrations, only those made with the same credentials.
   * Past the cap on links of one admin, or to one address whoever asks, it does nothing.
   * @returns whether a link is mailed.
   */
  async function ask(tx: Transaction, question: Question, traceId: string): Promise<boolean> {
    if ((await countSince(tx, question, HOUR_MS)) >= maxLinksPerHour) return false;
    if ((await countTo(database, tx, question.email, HOUR_MS)) >= maxLinksToAddressPerHour)
      return false;
    const { credentials, ...asked } = question;
    await withdraw(tx, asked.adminId, [asked.purpose], credentials);
    const lifeMs = asked.purpose === 'password_reset' ? PASSWORD_RESET_EXPIRES_MS : expiresMs;
    const expiresAt = new Date(Date.now() + lifeMs);
    const { id } = await Confirmation.create(
      { ...asked, ...credentials, id: uuidv7(), nonce: randomBytes(16), expiresAt },
      { transaction: tx },
    );
    const context = { adminId: asked.adminId, recipient: asked.email, traceId };
    await outbox.enqueue(tx, sendConfirmationMail, { v: 1, confirmation_id: id }, context);
    return true;
  }

  /**
   * Takes a token as the answer. The admin's row is locked first, as everywhere: of many at once, one answers and the
   * others find it answered.
   * @throws {AppError} `invalid_token` when the token is wrong, of another purpose, void or expired.
   */
  async function answer(
    tx: Transaction,
    token: string,
    purposes: readonly ConfirmationPurpose[],
  ): Promise<Answer> {
    const { id, adminId } = await read(token, purposes, tx);
    const admin = await lockAdmin(tx, { id: adminId });
    const confirmation = await Confirmation.findByPk(id, { transaction: tx });
    if (!admin || !confirmation) throw new AppError('invalid_token');
    if (confirmation.confirmedAt !== null) return { confirmation, admin, isFirst: false };
    if (isVoid(confirmation)) throw new AppError('invalid_token');
    await Confirmation.update(
      { confirmedAt: new Date(), passwordHash: null },
      { where: { id }, transaction: tx },
    );
    return { confirmation, admin, isFirst: true };
  }

  /**
   * The admin whom a good token is about; changes nothing.
   * @throws {AppError} `invalid_token`, as `answer` would now.
   */
  async function ownerOf(token: string, purpose: ConfirmationPurpose): Promise<Admin> {
    const confirmation = await read(token, [purpose]);
    if (confirmation.confirmedAt !== null || isVoid(confirmation))
      throw new AppError('invalid_token');
    const admin = await Admin.findByPk(confirmation.adminId);
    if (!admin) throw new AppError('invalid_token');
    return admin;
  }

  /** Finds what a token speaks of, if the token is true; it may be void or answered. */
  async function read(
    token: string,
    purposes: readonly ConfirmationPurpose[],
    tx?: Transaction,
  ): Promise<Confirmation> {
    const id = confirmationIdOf(token);
    if (id === undefined) throw new AppError('invalid_token');
    const confirmation = await Confirmation.findOne({
      where: { id, purpose: [...purposes] },
      transaction: tx ?? null,
    });
    if (!confirmation || !isConfirmationToken(keys, confirmation, token)) {
      throw new AppError('invalid_token');
    }
    return confirmation;
  }

  return { ask, withdraw, findRegistration, openRegistrations, answer, ownerOf };
}

/** Voids an admin's open links of these purposes: all, or those that were asked for with these credentials. */
async function withdraw(
  tx: Transaction,
  adminId: number,
  purposes: readonly ConfirmationPurpose[],
  credentials?: Credentials,
): Promise<void> {
  const made = credentials && { passwordHash: credentials.passwordHash };
  await Confirmation.update(
    { supersededAt: new Date(), passwordHash: null },
    {
      where: { adminId, purpose: [...purposes], confirmedAt: null, supersededAt: null, ...made },
      transaction: tx,
    },
  );
}

/** Which registration to look for. */
interface RecentRegistration {
  readonly adminId: number;
  readonly nameCanonical: string;
  readonly withinMs: number;
}

/** An open registration under this name, so recent that its mail may still be on its way. */
async function findRegistration(
  tx: Transaction,
  { adminId, nameCanonical, withinMs }: RecentRegistration,
): Promise<{ passwordHash: string } | undefined> {
  const found = await Confirmation.findOne({
    where: {
      adminId,
      purpose: 'registration',
      nameCanonical,
      createdAt: { [Op.gt]: new Date(Date.now() - withinMs) },
      passwordHash: { [Op.ne]: null },
    },
    order: [['id', 'DESC']],
    transaction: tx,
  });
  return found?.passwordHash ? { passwordHash: found.passwordHash } : undefined;
}

/** The questions that a pending admin's registrations have put, and nobody has answered; the oldest first. */
async function openRegistrations(tx: Transaction, adminId: number): Promise<Question[]> {
  const purpose = 'registration';
  const found = await Confirmation.findAll({
    where: { adminId, purpose, confirmedAt: null, supersededAt: null },
    order: [['id', 'ASC']],
    limit: MAX_OPEN_REGISTRATIONS,
    transaction: tx,
  });
  return found.flatMap(({ email, name, nameCanonical, passwordHash }) =>
    name === null || nameCanonical === null || passwordHash === null
      ? []
      : [{ adminId, purpose, email, credentials: { name, nameCanonical, passwordHash } }],
  );
}

const isVoid = ({ supersededAt, expiresAt }: Confirmation): boolean =>
  supersededAt !== null || expiresAt <= new Date();

function countSince(tx: Transaction, { adminId, purpose }: Question, ms: number): Promise<number> {
  const createdAt = { [Op.gt]: new Date(Date.now() - ms) };
  return Confirmation.count({ where: { adminId, purpose, createdAt }, transaction: tx });
}

/** Links mailed to an address, also for admins who are gone. Who counts next waits until this transaction is over. */
async function countTo(
  database: Database,
  transaction: Transaction,
  address: string,
  ms: number,
): Promise<number> {
  const bind = { address: canonicalAddress(address) };
  await database.query(
    `select pg_advisory_xact_lock(hashtextextended('rollcall/links-to ' || $address, 0))`,
    { bind, transaction },
  );
  const [row] = await database.query<{ links: number }>(
    `select count(*)::int as links from outbox
      where lower(recipient) = $address and name = $name
        and created_at > now() - $ms * interval '1 millisecond'`,
    {
      bind: { ...bind, name: sendConfirmationMail.name, ms },
      transaction,
      type: QueryTypes.SELECT,
    },
  );
  return row?.links ?? 0;
}
