import type { TestContext } from './context.js';
import { eventually } from './eventually.js';

/** What became of a promised mail. */
export interface MailOutcome {
  readonly outcome: string;
  /** Which mail the worker made of it; `null` for none. */
  readonly template: string | null;
}

/** Waits until the rows rest: a mail is put on the queue after the answer that promises it. */
export const handedOver = (context: TestContext): Promise<true> =>
  eventually(
    async () => (await context.rows(`select from outbox where state = 'pending'`)).length === 0,
    { of: 'every message being on the queue' },
  );

/**
 * What became of the mails that were promised to an address, in whatever case it was typed: oldest first, once there are
 * so many and all are settled.
 */
export function mailOutcomes(
  context: TestContext,
  email: string,
  count: number,
): Promise<MailOutcome[]> {
  return eventually(
    async () => {
      const messages = await context.rows<MailOutcome & { state: string }>(
        'select outcome, template, state from outbox where lower(recipient) = lower($1) order by created_at',
        [email],
      );
      const isOver = messages.every(({ state }) => state === 'settled');
      return (
        messages.length === count &&
        isOver &&
        messages.map(({ outcome, template }) => ({ outcome, template }))
      );
    },
    { of: `${count} messages to ${email} being settled` },
  );
}
