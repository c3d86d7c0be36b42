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

/** How far a mail had come: waiting for a session, named in one, or its content handed over. */
export type MailProgress = 'waiting' | 'named' | 'content';

/** What a mail's sender wants to know and decide on the way. */
export interface SendOptions {
  /** Gives up when so many milliseconds have passed and the content is not handed over, or sooner. */
  readonly withinMs?: number;
  /** Called when a session is open for the mail. */
  readonly onSession?: () => void;
  /**
   * Awaited when the server is ready for the content, once. If it rejects, the content is kept back and the sending
   * fails with the same error.
   */
  readonly beforeContent?: () => Promise<void>;
}

/** Hands mails to whatever delivers them. */
export interface Mailer {
  /**
   * Resolves once the server has taken the mail. Aborting takes it back as long as the server has not been given its
   * content; later the answer is waited for only a moment longer.
   * @throws {MailFailure} and what `beforeContent` throws.
   */
  send(mail: OutgoingMail, signal: AbortSignal, options?: SendOptions): Promise<MailReceipt>;
  /** Ends the connections; a mail that is being sent then fails. */
  close(): Promise<void>;
}

/**
 * What a failed hand-over means:
 * - `retry`: later, as it may be a matter of time
 * - `refuse`: never; it is about this mail
 * - `unreachable`: no session could be had; if others get one the server has enough of them, else it is away
 * - `lost`: the connection ended or fell silent while this mail was being named; it may be about the mail
 * - `unanswered`: the content was handed over and no answer came: the server may have the mail
 * - `throttle`: nothing is wrong, but we send too fast
 * - `misconfigured`: no mail can go until an operator mends the settings, or the account with the provider
 * - `abort`: taken back before the server had it
 */
export type MailFailureEffect =
  | 'retry'
  | 'refuse'
  | 'unreachable'
  | 'lost'
  | 'unanswered'
  | 'throttle'
  | 'misconfigured'
  | 'abort';

/** What more is known of a failure. */
export interface MailFailureDetails {
  /** How long sending should rest, where the server said so. */
  readonly pauseMs?: number;
  /** The server gave this reply, as opposed to none. */
  readonly hasReply?: boolean;
  /** The server refused for good, in words that do not tell whether it is about this mail or about who sends. */
  readonly isUnclear?: boolean;
  /** The account has sent what it may in a day: for hours no mail goes, unless an operator has the quota raised. */
  readonly isQuotaUsedUp?: boolean;
}

/** Why a mail was not taken. Its message holds no address. */
export class MailFailure extends Error {
  override readonly name = 'MailFailure';
  readonly pauseMs: number | undefined;
  readonly hasReply: boolean;
  readonly isUnclear: boolean;
  readonly isQuotaUsedUp: boolean;

  constructor(
    readonly effect: MailFailureEffect,
    message: string,
    {
      pauseMs,
      hasReply = false,
      isUnclear = false,
      isQuotaUsedUp = false,
    }: MailFailureDetails = {},
  ) {
    super(message);
    this.pauseMs = pauseMs;
    this.hasReply = hasReply;
    this.isUnclear = isUnclear;
    this.isQuotaUsedUp = isQuotaUsedUp;
  }
}
