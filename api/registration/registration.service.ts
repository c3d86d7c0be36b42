import { QueryTypes } from 'sequelize';
import { v7 as uuidv7 } from 'uuid';
import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { canonicalName } from '../../shared/identity/person-name.js';
import { Admin } from '../../shared/models/index.js';
import { requestConfirmation, type ConfirmationDeps } from '../mailed-links/confirmations.js';
import { refuseCommonPassword } from '../passwords/password-policy.js';
import type { Passwords } from '../passwords/passwords.js';
import type { RepeatedRegistrations } from './repeated-registrations.js';

export interface NewRegistration {
  readonly email: EmailAddress;
  readonly name: string;
  readonly password: string;
}

export interface RegistrationDeps extends ConfirmationDeps {
  readonly database: Database;
  readonly passwords: Passwords;
  readonly repeatedRegistrations: RepeatedRegistrations;
  readonly audit: Audit;
}

/** How many of its latest registrations an address keeps: confirming may compare the password with each. */
export const KEPT_REGISTRATIONS = 5;

/**
 * Registers an admin. It takes effect once a reader of the address's mail follows the link and enters this password: the
 * link proves the mailbox, the password selects the registration. Runs the same statements for every address.
 * @throws {AppError} `password_too_common`; `name_taken` when an admin has the name; `overloaded`.
 */
export async function register(
  deps: RegistrationDeps,
  { email, name, password }: NewRegistration,
  cause: Cause,
): Promise<void> {
  const { database, passwords, audit } = deps;
  refuseCommonPassword(password, { email: email.canonical, name });
  const nameCanonical = canonicalName(name);
  // Early feedback only; the unique constraint decides when the address is confirmed.
  if (await isNameTaken(nameCanonical)) throw new AppError('name_taken');
  const passwordHash = await passwords.hash(password, cause);
  const repeated = deps.repeatedRegistrations.isRepeated(email.canonical, nameCanonical, password);
  await withTransaction(database, async (tx) => {
    await insertRegistration(database, tx, { ...email, name, nameCanonical, passwordHash });
    const request = { purpose: 'registration', email, repeated } as const;
    const outboxId = await requestConfirmation(deps, tx, request, cause);
    await audit.record('registration_requested', cause, { details: { outbox_id: outboxId } }, tx);
  });
}

/** Requests another mail with a link, if the address is registered. Runs the same statements for every address. */
export async function resendConfirmation(
  deps: Omit<RegistrationDeps, 'passwords' | 'repeatedRegistrations'>,
  email: EmailAddress,
  cause: Cause,
): Promise<void> {
  await withTransaction(deps.database, async (tx) => {
    const outboxId = await requestConfirmation(deps, tx, { purpose: 'resend', email }, cause);
    const details = { outbox_id: outboxId };
    await deps.audit.record('confirmation_requested', cause, { details }, tx);
  });
}

async function isNameTaken(nameCanonical: string): Promise<boolean> {
  return (await Admin.count({ where: { nameCanonical } })) > 0;
}

/** Inserts a registration, and deletes the oldest ones of the address past {@link KEPT_REGISTRATIONS}. */
async function insertRegistration(
  database: Database,
  tx: Transaction,
  registration: EmailAddress & {
    readonly name: string;
    readonly nameCanonical: string;
    readonly passwordHash: string;
  },
): Promise<void> {
  await database.query(
    `with dropped as (
       delete from registrations
        where id in (select id from registrations where email_canonical = $canonical
                      order by id desc offset ${KEPT_REGISTRATIONS - 1})
     )
     insert into registrations (id, email, email_canonical, name, name_canonical, password_hash)
     values ($id, $address, $canonical, $name, $nameCanonical, $passwordHash)`,
    {
      type: QueryTypes.INSERT,
      bind: { id: uuidv7(), ...registration },
      transaction: tx,
    },
  );
}
