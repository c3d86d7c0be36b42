/** A complete mail. */
export interface OutgoingMail {
  /** The outbox message's id: identifies the mail in its headers and in the provider's events. */
  readonly id: string;
  /** The trace that it belongs to; in its header `X-Trace-Id`. */
  readonly traceId?: string;
  readonly to: { readonly name: string; readonly address: string };
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/** The server has accepted the mail and is responsible for it. */
export interface MailReceipt {
  /** The server's reply, without addresses. */
  readonly response: string;
  /** The provider's id of the mail, if the reply has one. */
  readonly providerId: string | undefined;
}

/** How far an SMTP transaction has come: waiting for a session, envelope sent, or content sent. */
export type MailProgress = 'waiting' | 'envelope' | 'content';

export interface SendOptions {
  /** Time-out until the content is transmitted; the mailer's own applies if it is shorter. */
  readonly withinMs?: number;
  /** Called when a session is open for the mail. */
  readonly onSession?: () => void;
  /**
   * Awaited once, when the server is ready for the content. If it rejects, the content is not transmitted and `send`
   * rejects with the same error.
   */
  readonly beforeContent?: () => Promise<void>;
}

/** Sends mails through a mail server. */
export interface Mailer {
  /**
   * Resolves once the server has accepted the mail. Aborting cancels it unless the content is transmitted already; then
   * the reply is awaited only a moment longer.
   * @throws {MailFailure} and what `beforeContent` throws.
   */
  send(mail: OutgoingMail, signal: AbortSignal, options?: SendOptions): Promise<MailReceipt>;
  /** Closes the connections; a mail that is being sent then fails. */
  close(): Promise<void>;
}

/**
 * What a failed attempt means for the mail:
 * - `retry`: may succeed later
 * - `refuse`: never succeeds; it is about this mail
 * - `unreachable`: no session could be opened; if other mails get one the server limits connections, else it is down
 * - `lost`: the connection ended or timed out during the envelope; it may be about the mail
 * - `unanswered`: the content was transmitted and no reply came: the server may have accepted the mail
 * - `throttle`: nothing is wrong, but we exceed a rate limit or quota
 * - `misconfigured`: no mail can be sent until an operator fixes the settings, or the account with the provider
 * - `abort`: cancelled before the content was transmitted
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

export interface MailFailureDetails {
  /** How long to pause sending, for `throttle`. */
  readonly pauseMs?: number;
  /** The server replied, as opposed to a lost or refused connection. */
  readonly hasReply?: boolean;
  /** A permanent refusal that does not say whether it is about this mail or about the sender. */
  readonly isUnclear?: boolean;
  /** The reply to RCPT TO: the words may be those of the recipient's server, which a stranger can choose. */
  readonly repliesToRecipient?: boolean;
  /** The daily quota is used up: no mail can be sent for hours, unless an operator has it raised. */
  readonly isQuotaUsedUp?: boolean;
}

/** Why a mail was not accepted. Its message holds no address. */
export class MailFailure extends Error {
  override readonly name = 'MailFailure';
  readonly pauseMs: number | undefined;
  readonly hasReply: boolean;
  readonly isUnclear: boolean;
  readonly repliesToRecipient: boolean;
  readonly isQuotaUsedUp: boolean;

  constructor(
    readonly effect: MailFailureEffect,
    message: string,
    {
      pauseMs,
      hasReply = false,
      isUnclear = false,
      repliesToRecipient = false,
      isQuotaUsedUp = false,
    }: MailFailureDetails = {},
  ) {
    super(message);
    this.pauseMs = pauseMs;
    this.hasReply = hasReply;
    this.isUnclear = isUnclear;
    this.repliesToRecipient = repliesToRecipient;
    this.isQuotaUsedUp = isQuotaUsedUp;
  }
}
