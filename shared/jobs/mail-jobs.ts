import * as z from 'zod';

/** @param contract its name is what is done, as a verb in the imperative. */
const defineMail = <const N extends string, S extends z.ZodType>(contract: {
  readonly name: N;
  readonly schema: S;
}) => Object.freeze(contract);

/**
 * Mail the owner of an address what is due for a request: a link, or a notice that the account exists already. The
 * worker decides which, if any, from the rows as they are when it sends.
 */
export const sendConfirmationMail = defineMail({
  name: 'send-confirmation-mail',
  schema: z.strictObject({ v: z.literal(1), confirmation_id: z.uuid() }),
});

const notices = ['password_changed', 'email_change_requested', 'session_ended_by_reuse'] as const;

/** A change of an account that its admin is notified of, in case somebody else made it. */
export type SecurityNotice = (typeof notices)[number];

/** Notify an admin that something about its account has changed. */
export const sendSecurityNotice = defineMail({
  name: 'send-security-notice',
  schema: z.strictObject({
    v: z.literal(1),
    admin_id: z.int().positive(),
    notice: z.enum(notices),
  }),
});

/**
 * A kind of mail, as promised in the outbox. The message's row has the payload; its job, of the same name, only says where to
 * find the row (see `outbox-job.ts`).
 */
export type MailContract = typeof sendConfirmationMail | typeof sendSecurityNotice;

/**
 * Mails with a link to one address, whoever requests them. Registering and then forgetting the password stays below.
 */
export const MAX_LINKS_PER_HOUR = 6;
