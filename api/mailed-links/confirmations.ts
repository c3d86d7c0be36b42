import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { Cause } from '../../shared/audit/audit.js';
import type { KeyRing } from '../../shared/crypto/keys.js';
import type { Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import { confirmationIdOf, isConfirmationToken } from '../../shared/identity/confirmation-token.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { sendConfirmationMail } from '../../shared/jobs/mail-jobs.js';
import { Confirmation, type ConfirmationPurpose } from '../../shared/models/index.js';
import type { Outbox } from '../../shared/outbox/outbox.js';
import { networkOf } from '../throttling/networks.js';

/** What mailed links are made and read with. */
export interface ConfirmationDeps {
  readonly outbox: Outbox;
  readonly confirmationKeys: KeyRing;
  /** How long a link works that proves an address. */
  readonly confirmationExpiresMs: number;
}

/** What is asked for, and for which address. */
export interface ConfirmationRequest {
  readonly purpose: ConfirmationPurpose;
  readonly email: EmailAddress;
  /** The account that asks to have the address; for `email_change` alone. */
  readonly adminId?: number;
  /** The same was asked for a moment before: no second mail, if the first one goes out. */
  readonly repeated?: boolean;
}

/** Shorter than a link that proves an address, because it lets whoever has it into the account. */
const PASSWORD_RESET_EXPIRES_MS = 3_600_000;

/**
 * Has the owner of an address mailed what is due: a link, word of the account that exists, or nothing. The worker decides
 * that, so this runs the same statements for every address and takes the same time.
 * @returns the id of the outbox message.
 */
export async function requestConfirmation(
  { outbox, confirmationExpiresMs }: ConfirmationDeps,
  tx: Transaction,
  { purpose, email, adminId, repeated = false }: ConfirmationRequest,
  cause: Cause,
): Promise<string> {
  const lifeMs = purpose === 'password_reset' ? PASSWORD_RESET_EXPIRES_MS : confirmationExpiresMs;
  const { id } = await Confirmation.create(
    {
      id: uuidv7(),
      adminId: adminId ?? null,
      purpose,
      email: email.address,
      emailCanonical: email.canonical,
      nonce: randomBytes(16),
      repeated,
      expiresAt: new Date(Date.now() + lifeMs),
    },
    { transaction: tx },
  );
  return outbox.enqueue(
    tx,
    sendConfirmationMail,
    { v: 1, confirmation_id: id },
    { ...(adminId !== undefined && { adminId }), recipient: email.address, cause },
  );
}

/**
 * The row that a token was made from. It may have been used, replaced or expired.
 * @throws {AppError} `invalid_token` when the token is not one of ours, or has another purpose.
 */
export async function findConfirmation(
  { confirmationKeys }: Pick<ConfirmationDeps, 'confirmationKeys'>,
  token: string,
  purposes: readonly ConfirmationPurpose[],
): Promise<Confirmation> {
  const id = confirmationIdOf(token);
  if (id === undefined) throw new AppError('invalid_token');
  const confirmation = await Confirmation.findOne({ where: { id, purpose: [...purposes] } });
  if (!confirmation || !isConfirmationToken(confirmationKeys, confirmation, token))
    throw new AppError('invalid_token');
  return confirmation;
}

/** Whether the link still works: not used, not replaced by a newer one, not expired. */
const isOpen = ({ confirmedAt, supersededAt, expiresAt }: Confirmation): boolean =>
  confirmedAt === null && supersededAt === null && expiresAt > new Date();

/** @throws {AppError} `invalid_token` for a link that does not work any more. */
export function requireOpen(confirmation: Confirmation | null): Confirmation {
  if (!confirmation || !isOpen(confirmation)) throw new AppError('invalid_token');
  return confirmation;
}

/**
 * The row as it is now, held until the transaction ends: of many uses at once, one finds it open. All open links of the
 * address are held, always in the same order, because using one of them settles the others.
 */
export async function lockConfirmation(
  transaction: Transaction,
  { id, emailCanonical }: Confirmation,
): Promise<Confirmation | null> {
  await Confirmation.findAll({
    attributes: ['id'],
    where: { ...open, emailCanonical },
    order: [['id', 'ASC']],
    lock: transaction.LOCK.UPDATE,
    transaction,
  });
  return Confirmation.findByPk(id, { transaction });
}

/**
 * Marks a link as used for an account, with every other link to the same address that would do what this one has done.
 * The network that it was used from is remembered as the owner's.
 */
export async function markUsed(
  tx: Transaction,
  { emailCanonical }: Confirmation,
  adminId: number,
  ip: string | undefined,
): Promise<void> {
  await Confirmation.update(
    { confirmedAt: new Date(), adminId, network: networkOf(ip) },
    {
      where: { ...open, emailCanonical, purpose: ['registration', 'resend', 'password_reset'] },
      transaction: tx,
    },
  );
}

/** Links that may be voided: an account's changes of address, or the links that were mailed to an address. */
export type WhichConfirmations =
  | { readonly adminId: number; readonly purpose: 'email_change' }
  | { readonly emailCanonical: string; readonly purpose?: 'password_reset' };

/** Makes links worthless that have not been used. */
export async function voidConfirmations(tx: Transaction, which: WhichConfirmations): Promise<void> {
  await Confirmation.update(
    { supersededAt: new Date() },
    { where: { ...open, ...which }, transaction: tx },
  );
}

const open = { confirmedAt: null, supersededAt: null };
