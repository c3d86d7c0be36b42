import { randomBytes } from 'node:crypto';
import { Op } from 'sequelize';
import { v7 as uuidv7 } from 'uuid';
import type { KeyRing } from '../../shared/crypto/keys.js';
import type { Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import { confirmationIdOf, isConfirmationToken } from '../../shared/identity/confirmation-token.js';
import { sendConfirmationMail } from '../../shared/jobs/index.js';
import { Confirmation, type Admin } from '../../shared/models/index.js';
import type { Outbox } from '../../shared/outbox/outbox.js';

/** What confirmations are made of. */
export interface ConfirmationsDeps {
  readonly outbox: Outbox;
  readonly keys: KeyRing;
  /** How long a link is good. */
  readonly expiresMs: number;
  /** Multiplies the cap on links to one address. */
  readonly rateLimitScale: number;
}

/** Asking the owner of an address whether it is theirs, and taking the answer. */
export type Confirmations = ReturnType<typeof createConfirmations>;

const HOUR_MS = 3_600_000;
const MAX_LINKS_PER_HOUR = 3;

export function createConfirmations({
  outbox,
  keys,
  expiresMs,
  rateLimitScale,
}: ConfirmationsDeps) {
  const maxLinksPerHour = Math.max(1, Math.floor(MAX_LINKS_PER_HOUR * rateLimitScale));

  /** Has a link mailed, and voids the ones before it. Past the cap on links to one address it does nothing. */
  async function ask(tx: Transaction, admin: Admin, traceId: string): Promise<void> {
    if ((await countSince(tx, admin, HOUR_MS)) >= maxLinksPerHour) return;
    await Confirmation.update(
      { supersededAt: new Date() },
      {
        where: { ...ofRegistration(admin), confirmedAt: null, supersededAt: null },
        transaction: tx,
      },
    );
    const { id } = await Confirmation.create(
      {
        ...ofRegistration(admin),
        id: uuidv7(),
        email: admin.email,
        nonce: randomBytes(16),
        expiresAt: new Date(Date.now() + expiresMs),
      },
      { transaction: tx },
    );
    await outbox.enqueue(
      tx,
      sendConfirmationMail,
      { v: 1, confirmation_id: id },
      { adminId: admin.id, traceId },
    );
  }

  /** True when a link was asked for so recently that its mail may still be on its way. */
  async function wasAskedWithin(tx: Transaction, admin: Admin, ms: number): Promise<boolean> {
    return (await countSince(tx, admin, ms)) > 0;
  }

  /**
   * Takes a token as the answer. The row is locked: of many at once, one answers and the others find it answered.
   * @returns the confirmation, or `undefined` when it has been answered before.
   * @throws {AppError} `invalid_token` when the token is wrong, void or expired.
   */
  async function answer(tx: Transaction, token: string): Promise<Confirmation | undefined> {
    const id = confirmationIdOf(token);
    if (id === undefined) throw new AppError('invalid_token');
    const confirmation = await Confirmation.findOne({
      where: { id, purpose: 'registration' },
      lock: tx.LOCK.UPDATE,
      transaction: tx,
    });
    if (!confirmation || !isConfirmationToken(keys, confirmation, token))
      throw new AppError('invalid_token');
    if (confirmation.confirmedAt !== null) return undefined;
    const isVoid = confirmation.supersededAt !== null || confirmation.expiresAt <= new Date();
    if (isVoid) throw new AppError('invalid_token');
    return confirmation.update({ confirmedAt: new Date() }, { transaction: tx });
  }

  return { ask, wasAskedWithin, answer };
}

const ofRegistration = (admin: Admin) => ({ adminId: admin.id, purpose: 'registration' as const });

function countSince(tx: Transaction, admin: Admin, ms: number): Promise<number> {
  const createdAt = { [Op.gt]: new Date(Date.now() - ms) };
  return Confirmation.count({ where: { ...ofRegistration(admin), createdAt }, transaction: tx });
}
