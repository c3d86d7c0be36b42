import { v7 as uuidv7 } from 'uuid';
import { AUDIT_ROW, type Audit, type Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { insertRows, valuesOf, type RowShape } from '../../shared/database/insert-rows.js';
import type { Statement } from '../../shared/database/statements.js';
import { retryConflicts } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { canonicalName } from '../../shared/identity/person-name.js';
import { OUTBOX_ROW } from '../../shared/outbox/outbox.js';
import {
  CONFIRMATION_ROW,
  newConfirmation,
  requestConfirmation,
  type ConfirmationDeps,
} from '../mailed-links/confirmations.js';
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

const REGISTRATION_ROW = {
  table: 'registrations',
  columns: ['id', 'email_canonical', 'email', 'name', 'name_canonical', 'password_hash'],
} as const satisfies RowShape;

/** Deletes the oldest registrations of the new one's address ($2) past {@link KEPT_REGISTRATIONS}. */
const PRUNED = `pruned as (
  delete from registrations where email_canonical = $2 and id = any (array(
    select id from registrations where email_canonical = $2
     order by id desc offset ${KEPT_REGISTRATIONS - 1})))`;

const INSERT_REGISTRATION = insertRows(
  'insert-registration',
  [REGISTRATION_ROW, CONFIRMATION_ROW, OUTBOX_ROW, AUDIT_ROW],
  [PRUNED],
);

const IS_NAME_TAKEN: Statement = {
  name: 'is-name-taken',
  text: 'select exists (select from admins where name_canonical = $1) as taken',
};

/**
 * Registers an admin. It takes effect once a reader of the address's mail follows the link and enters this password: the
 * link proves the mailbox, the password selects the registration. Runs the same two statements for every address: the second
 * writes the registration, its link, its mail and the audit event, all or none of them.
 * @throws {AppError} `password_too_common`; `name_taken` when an admin has the name; `overloaded`.
 */
export async function register(
  deps: RegistrationDeps,
  { email, name, password }: NewRegistration,
  cause: Cause,
): Promise<void> {
  const { database, passwords } = deps;
  refuseCommonPassword(password, { email: email.canonical, name });
  const nameCanonical = canonicalName(name);
  // Early feedback only; the unique constraint decides when the address is confirmed.
  if (await isNameTaken(database, nameCanonical)) throw new AppError('name_taken');
  const passwordHash = await passwords.hash(password, cause);
  const registration = valuesOf(REGISTRATION_ROW, {
    id: uuidv7(),
    email: email.address,
    email_canonical: email.canonical,
    name,
    name_canonical: nameCanonical,
    password_hash: passwordHash,
  });
  const same = { emailCanonical: email.canonical, nameCanonical, password };
  await deps.repeatedRegistrations.insert(same, async (repeated) => {
    const request = { purpose: 'registration', email, repeated } as const;
    const { values: confirmation, message } = newConfirmation(deps, request, cause);
    const facts = { details: { outbox_id: message.id } };
    const event = deps.audit.event('registration_requested', cause, facts);
    const values = [...registration, ...confirmation, ...message.values, ...event.values];
    await retryConflicts(() => database.statements.run(INSERT_REGISTRATION, values));
    message.committed();
    event.committed();
  });
}

/** Requests another mail with a link, if the address is registered. Runs the same statement for every address. */
export async function resendConfirmation(
  deps: Omit<RegistrationDeps, 'passwords' | 'repeatedRegistrations'>,
  email: EmailAddress,
  cause: Cause,
): Promise<void> {
  await requestConfirmation(deps, { purpose: 'resend', email }, 'confirmation_requested', cause);
}

async function isNameTaken({ statements }: Database, nameCanonical: string): Promise<boolean> {
  const [row] = await statements.run<{ taken: boolean }>(IS_NAME_TAKEN, [nameCanonical]);
  return row?.taken ?? false;
}
