import { randomBytes } from 'node:crypto';
import { Op } from 'sequelize';
import { v7 as uuidv7 } from 'uuid';
import type { KeyRing } from '../../shared/crypto/keys.js';
import type { Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import { confirmationIdOf, isConfirmationToken } from '../../shared/identity/confirmation-token.js';
import { sendConfirmationMail } from '../../shared/jobs/index.js';
import { Admin, Confirmation, type ConfirmationPurpose } from '../../shared/models/index.js';
import type { Outbox } from '../../shared/outbox/outbox.js';

/** What confirmations are made of. */
export interface ConfirmationsDeps {
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
}

/** Asking the owner of an address by a mailed link, and taking the answer. */
export type Confirmations = ReturnType<typeof createConfirmations>;

const HOUR_MS = 3_600_000;
const MAX_LINKS_PER_HOUR = 3;
/** A link that sets a password is good for less long than one that proves an address. */
const PASSWORD_RESET_EXPIRES_MS = HOUR_MS;

export function createConfirmations({
  outbox,
  keys,
  expiresMs,
  rateLimitScale,
}: ConfirmationsDeps) {
  const maxLinksPerHour = Math.max(1, Math.floor(MAX_LINKS_PER_HOUR * rateLimitScale));

  /** Has a link mailed, and voids the ones before it. Past the cap on links to one admin it does nothing. */
  async function ask(tx: Transaction, question: Question, traceId: string): Promise<void> {
    if ((await countSince(tx, question, HOUR_MS)) >= maxLinksPerHour) return;
    await withdraw(tx, question);
    const lifeMs = question.purpose === 'password_reset' ? PASSWORD_RESET_EXPIRES_MS : expiresMs;
    const { id } = await Confirmation.create(
      {
        ...question,
        id: uuidv7(),
        nonce: randomBytes(16),
        expiresAt: new Date(Date.now() + lifeMs),
      },
      { transaction: tx },
    );
    const context = { adminId: question.adminId, traceId };
    await outbox.enqueue(tx, sendConfirmationMail, { v: 1, confirmation_id: id }, context);
  }

  /** Voids the open links of one purpose. */
  async function withdraw(
    tx: Transaction,
    { adminId, purpose }: Pick<Question, 'adminId' | 'purpose'>,
  ): Promise<void> {
    await Confirmation.update(
      { supersededAt: new Date() },
      { where: { adminId, purpose, confirmedAt: null, supersededAt: null }, transaction: tx },
    );
  }

  /** True when a link was asked for so recently that its mail may still be on its way. */
  async function wasAskedWithin(
    tx: Transaction,
    question: Omit<Question, 'email'>,
    ms: number,
  ): Promise<boolean> {
    return (await countSince(tx, question, ms)) > 0;
  }

  /**
   * Takes a token as the answer. The row is locked: of many at once, one answers and the others find it answered.
   * @returns the confirmation, and whether it had been answered before.
   * @throws {AppError} `invalid_token` when the token is wrong, of another purpose, void or expired.
   */
  async function answer(
    tx: Transaction,
    token: string,
    purposes: readonly ConfirmationPurpose[],
  ): Promise<{ confirmation: Confirmation; isFirst: boolean }> {
    const confirmation = await read(token, purposes, tx);
    if (confirmation.confirmedAt !== null) return { confirmation, isFirst: false };
    if (isVoid(confirmation)) throw new AppError('invalid_token');
    await confirmation.update({ confirmedAt: new Date() }, { transaction: tx });
    return { confirmation, isFirst: true };
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
    lockedBy?: Transaction,
  ): Promise<Confirmation> {
    const id = confirmationIdOf(token);
    if (id === undefined) throw new AppError('invalid_token');
    const confirmation = await Confirmation.findOne({
      where: { id, purpose: [...purposes] },
      ...(lockedBy && { lock: lockedBy.LOCK.UPDATE, transaction: lockedBy }),
    });
    if (!confirmation || !isConfirmationToken(keys, confirmation, token))
      throw new AppError('invalid_token');
    return confirmation;
  }

  return { ask, withdraw, wasAskedWithin, answer, ownerOf };
}

const isVoid = ({ supersededAt, expiresAt }: Confirmation): boolean =>
  supersededAt !== null || expiresAt <= new Date();

function countSince(
  tx: Transaction,
  { adminId, purpose }: Omit<Question, 'email'>,
  ms: number,
): Promise<number> {
  const createdAt = { [Op.gt]: new Date(Date.now() - ms) };
  return Confirmation.count({ where: { adminId, purpose, createdAt }, transaction: tx });
}
