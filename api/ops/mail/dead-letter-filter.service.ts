import * as z from 'zod';
import { allOf, when, type Condition } from '../condition.js';

/** Which messages that wait for a decision: all of one state, or those that fit every further field. */
export const DeadLetterFilter = z.strictObject({
  /** `dead`: delivery failed permanently. `uncertain`: perhaps sent. */
  state: z.enum(['dead', 'uncertain']),
  /** As `groupDeadLetters` names it. */
  cause: z.string().min(1).max(200).optional(),
  /** The name of the job. */
  mail: z.string().min(1).max(100).optional(),
  /** An address, or `@` and a domain; letters of either case. */
  recipient: z.string().min(1).max(254).optional(),
  /** When the mail was asked for; `until` is exclusive. */
  since: z.coerce.date().optional(),
  until: z.coerce.date().optional(),
});

export type DeadLetterFilter = z.output<typeof DeadLetterFilter>;

/** The filter as a condition of SQL. The state is written out, so that the index of that state is used. */
export function conditionOf(filter: DeadLetterFilter): Condition {
  const { state, cause, mail, recipient, since, until } = filter;
  const address = recipient?.toLowerCase();
  const isDomain = address?.startsWith('@') ?? false;
  return allOf([
    { sql: `state = '${state}'`, bind: {} },
    when('cause', cause, 'mail_failure_cause(last_error) = $cause'),
    when('mail', mail, 'name = $mail'),
    when(
      'address',
      address,
      isDomain
        ? 'right(lower(recipient), length($address)) = $address'
        : 'lower(recipient) = $address',
    ),
    when('since', since, 'created_at >= $since'),
    when('until', until, 'created_at < $until'),
  ]);
}
