/** A mail, complete. */
export interface OutgoingMail {
  /** The outbox message's id: names the mail in its headers and in the provider's events. */
  readonly id: string;
  readonly to: { readonly name: string; readonly address: string };
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/** The server has taken the mail and is answerable for it. */
export interface MailReceipt {
  /** What it said; without addresses. */
  readonly response: string;
  /** The id under which it took the mail, if it named one. */
  readonly providerId: string | undefined;
}

/** Hands mails to whatever delivers them. */
export interface Mailer {
  /**
   * Resolves once the server has taken the mail. Aborting takes it back as long as the server has not been given its
   * content; later it is ignored. Gives up when so many milliseconds have passed, or sooner.
   * @throws {MailFailure} and nothing else.
   */
  send(mail: OutgoingMail, signal: AbortSignal, withinMs?: number): Promise<MailReceipt>;
  /** Ends the connections; a mail that is being sent then fails. */
  close(): Promise<void>;
}

/**
 * What a failed hand-over means:
 * - `retry`: later, as it may be a matter of time
 * - `refuse`: never; it is about this mail
 * - `unreachable`: the server is away; the mail is not to blame, and every other would fail the same way
 * - `lost`: the connection ended or fell silent while this mail was being named; it may be about the mail
 * - `throttle`: nothing is wrong, but we send too fast
 * - `misconfigured`: no mail can go until an operator mends the settings
 * - `abort`: taken back before the server had it
 */
export type MailFailureEffect =
  | 'retry'
  | 'refuse'
  | 'unreachable'
  | 'lost'
  | 'throttle'
  | 'misconfigured'
  | 'abort';

/** Why a mail was not taken. Its message holds no address. */
export class MailFailure extends Error {
  override readonly name = 'MailFailure';
  constructor(
    readonly effect: MailFailureEffect,
    message: string,
    /** How long sending should rest, where the server said so. */
    readonly restMs?: number,
  ) {
    super(message);
  }
}
