import { randomBytes } from 'node:crypto';
import { Op } from 'sequelize';
import { v7 as uuidv7 } from 'uuid';
import { AUDIT_ROW, type Audit, type Cause } from '../../shared/audit/audit.js';
import type { KeyRing } from '../../shared/crypto/keys.js';
import { msFromNow, NOW } from '../../shared/database/clock.js';
import type { Database } from '../../shared/database/connect.js';
import { insertRows, valuesOf, type RowShape } from '../../shared/database/insert-rows.js';
import { retryConflicts, type Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import { confirmationIdOf, isConfirmationToken } from '../../shared/identity/confirmation-token.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { sendConfirmationMail } from '../../shared/jobs/mail-jobs.js';
import {
  Confirmation,
  type AuditEventName,
  type ConfirmationPurpose,
} from '../../shared/models/index.js';
import { OUTBOX_ROW, type NewMessage, type Outbox } from '../../shared/outbox/outbox.js';
import { networkOf } from '../rate-limits/networks.js';

/** What promising a mail needs; its links are derived where it is sent. */
interface NewConfirmationDeps {
  readonly outbox: Outbox;
  /** Lifetime of a link that proves an address. */
  readonly confirmationExpiresMs: number;
}

export interface ConfirmationDeps extends NewConfirmationDeps {
  readonly confirmationKeys: KeyRing;
}

export interface ConfirmationRequest {
  readonly purpose: ConfirmationPurpose;
  readonly email: EmailAddress;
  /** The account that moves to the address; for `email_change` only. */
  readonly adminId?: number;
  /** A duplicate of a request a moment before: no second mail, if the first one is sent. */
  readonly repeated?: boolean;
}

/** Shorter than for a link that proves an address, because this one gives access to the account. */
const PASSWORD_RESET_EXPIRES_MS = 3_600_000;

/** Columns of a new confirmation, for a statement that also writes its outbox message. */
export const CONFIRMATION_ROW = {
  table: 'confirmations',
  columns: [
    'id',
    'admin_id',
    'purpose',
    'email',
    'email_canonical',
    'nonce',
    'repeated',
    'expires_at',
  ],
  expressions: { expires_at: msFromNow },
} as const satisfies RowShape;

/** A confirmation that is about to be written with its mail, of the shapes {@link CONFIRMATION_ROW} and `OUTBOX_ROW`. */
export interface NewConfirmation {
  readonly values: readonly unknown[];
  readonly message: NewMessage;
}

/**
 * A confirmation and the mail for its address: a link, a notice that the account exists, or nothing. The worker decides which,
 * so that the API writes the same rows for every address and takes the same time.
 */
export function newConfirmation(
  { outbox, confirmationExpiresMs }: NewConfirmationDeps,
  { purpose, email, adminId, repeated = false }: ConfirmationRequest,
  cause: Cause,
): NewConfirmation {
  const lifeMs = purpose === 'password_reset' ? PASSWORD_RESET_EXPIRES_MS : confirmationExpiresMs;
  const id = uuidv7();
  const values = valuesOf(CONFIRMATION_ROW, {
    id,
    admin_id: adminId ?? null,
    purpose,
    email: email.address,
    email_canonical: email.canonical,
    nonce: randomBytes(16),
    repeated,
    expires_at: lifeMs,
  });
  const message = outbox.message(
    sendConfirmationMail,
    { v: 1, confirmation_id: id },
    { ...(adminId !== undefined && { adminId }), recipient: email.address, cause },
  );
  return { values, message };
}

const REQUEST_CONFIRMATION = insertRows('request-confirmation', [
  CONFIRMATION_ROW,
  OUTBOX_ROW,
  AUDIT_ROW,
]);

export interface RequestConfirmationDeps extends NewConfirmationDeps {
  readonly database: Database;
  readonly audit: Audit;
}

/**
 * Requests a mail for an address, and audits that, in one statement that is the same for every address: in the transaction, if
 * one is given.
 */
export async function requestConfirmation(
  { database, audit, ...deps }: RequestConfirmationDeps,
  request: ConfirmationRequest,
  eventName: AuditEventName,
  cause: Cause,
  tx?: Transaction,
): Promise<void> {
  const { values, message } = newConfirmation(deps, request, cause);
  const facts = { adminId: request.adminId, details: { outbox_id: message.id } };
  const event = audit.event(eventName, cause, facts);
  const bind = [...values, ...message.values, ...event.values];
  const committed = (): void => {
    message.committed();
    event.committed();
  };
  if (tx) {
    await database.query(REQUEST_CONFIRMATION.text, { bind, transaction: tx });
    tx.afterCommit(committed);
  } else {
    await retryConflicts(() => database.statements.run(REQUEST_CONFIRMATION, bind));
    committed();
  }
}

/**
 * The confirmation of a token. It may be used or superseded.
 * @throws {AppError} `invalid_token` when the token is forged, has expired, or has another purpose.
 */
export async function findConfirmation(
  { confirmationKeys }: Pick<ConfirmationDeps, 'confirmationKeys'>,
  token: string,
  purposes: readonly ConfirmationPurpose[],
): Promise<Confirmation> {
  const id = confirmationIdOf(token);
  if (id === undefined) throw new AppError('invalid_token');
  const confirmation = await Confirmation.findOne({
    where: { ...unexpired, id, purpose: [...purposes] },
  });
  if (!confirmation || !isConfirmationToken(confirmationKeys, confirmation, token))
    throw new AppError('invalid_token');
  return confirmation;
}

/** True unless the link was used, or superseded by a newer one. */
const isOpen = ({ confirmedAt, supersededAt }: Confirmation): boolean =>
  confirmedAt === null && supersededAt === null;

/** @throws {AppError} `invalid_token` for a link that is used or superseded, or none. */
export function requireOpen(confirmation: Confirmation | null): Confirmation {
  if (!confirmation || !isOpen(confirmation)) throw new AppError('invalid_token');
  return confirmation;
}

/**
 * The row as it is now, locked until the transaction ends: of concurrent uses, only one finds it open. All open links of
 * the address are locked, always in the same order, because using one of them updates the others. Null once it has expired.
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
  return Confirmation.findOne({ where: { ...unexpired, id }, transaction });
}

/**
 * Marks a link as used for an account, with every other open link to the same address for the same purpose. The network
 * that it was used from becomes a known network of the owner.
 */
export async function markUsed(
  tx: Transaction,
  { emailCanonical }: Confirmation,
  adminId: number,
  ip: string | undefined,
): Promise<void> {
  await Confirmation.update(
    { confirmedAt: NOW, adminId, network: networkOf(ip) },
    {
      where: { ...open, emailCanonical, purpose: OWNERS_PURPOSES },
      transaction: tx,
    },
  );
}

/** What serves the owner of an address; `email_change` serves an account that wants it. */
export const OWNERS_PURPOSES: ConfirmationPurpose[] = ['registration', 'resend', 'password_reset'];

/** An account's changes of address, or the links that were mailed to an address. */
export type WhichConfirmations =
  | { readonly adminId: number; readonly purpose: 'email_change' }
  | {
      readonly emailCanonical: string;
      readonly purpose?: 'password_reset' | ConfirmationPurpose[];
    };

/** Voids open links. */
export async function voidConfirmations(tx: Transaction, which: WhichConfirmations): Promise<void> {
  await Confirmation.update(
    { supersededAt: NOW },
    { where: { ...open, ...which }, transaction: tx },
  );
}

const open = { confirmedAt: null, supersededAt: null };

/** The condition for a link that has not expired. */
export const unexpired = { expiresAt: { [Op.gt]: NOW } };
