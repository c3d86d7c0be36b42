import { MailFailure, type MailProgress, type SendOptions } from '../mail.port.js';

/** How long the server may take. */
export interface SmtpTimeouts {
  readonly connectMs: number;
  readonly greetingMs: number;
  /** Until the content is transmitted, waiting for a connection included. */
  readonly sendMs: number;
  /** For the content and the reply to it: a mail that times out here may have been accepted. */
  readonly answerMs: number;
  /** For the reply after an abort. */
  readonly answerAfterAbortMs: number;
}

/**
 * One attempt to send a mail. It ends by itself when it takes too long, or when the caller aborts before the content is
 * transmitted.
 */
export interface SendAttempt {
  readonly timeouts: SmtpTimeouts;
  readonly options: SendOptions;
  readonly controller: AbortController;
  progress: MailProgress;
  /** Why the attempt was ended from here, if it was. */
  endedBy: Error | undefined;
  timer: NodeJS.Timeout | undefined;
  /** What `beforeContent` decided. */
  permission: Promise<void> | undefined;
  /** Stops listening to the caller's signal. */
  stopListening: () => void;
}

/** Starts an attempt and its time-out. */
export function startSendAttempt(
  timeouts: SmtpTimeouts,
  signal: AbortSignal,
  options: SendOptions,
): SendAttempt {
  const attempt: SendAttempt = {
    timeouts,
    options,
    controller: new AbortController(),
    progress: 'waiting',
    endedBy: undefined,
    timer: undefined,
    permission: undefined,
    stopListening: () => signal.removeEventListener('abort', onAbort),
  };
  const onAbort = (): void => abort(attempt);
  failAfter(attempt, Math.min(timeouts.sendMs, options.withinMs ?? timeouts.sendMs));
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) onAbort();
  return attempt;
}

/** Called with the session open, right before the envelope is sent. */
export function beginEnvelope(attempt: SendAttempt): void {
  attempt.progress = 'envelope';
  attempt.options.onSession?.();
}

/** Resolves when the content may be transmitted. Nodemailer calls it again if the connection ended meanwhile. */
export async function beginContent(attempt: SendAttempt): Promise<void> {
  const { signal } = attempt.controller;
  signal.throwIfAborted();
  try {
    await (attempt.permission ??= attempt.options.beforeContent?.() ?? Promise.resolve());
  } catch (error) {
    fail(attempt, error instanceof Error ? error : new Error(String(error)));
  }
  // Nothing is awaited between this check and the first byte.
  signal.throwIfAborted();
  attempt.progress = 'content';
  failAfter(attempt, attempt.timeouts.answerMs);
}

/** Releases the timer and the listener. */
export function endSendAttempt({ timer, stopListening }: SendAttempt): void {
  clearTimeout(timer);
  stopListening();
}

function abort(attempt: SendAttempt): void {
  if (attempt.progress === 'content') failAfter(attempt, attempt.timeouts.answerAfterAbortMs);
  else fail(attempt, new MailFailure('abort', 'aborted before the content was sent'));
}

function failAfter(attempt: SendAttempt, ms: number): void {
  clearTimeout(attempt.timer);
  attempt.timer = setTimeout(() => {
    const effect = effectOfTimeout[attempt.progress];
    fail(attempt, new MailFailure(effect, `no answer within ${Math.ceil(ms)} ms`));
  }, ms);
}

const effectOfTimeout = {
  waiting: 'unreachable',
  envelope: 'lost',
  content: 'unanswered',
} as const satisfies Record<MailProgress, unknown>;

function fail(attempt: SendAttempt, reason: Error): void {
  attempt.endedBy ??= reason;
  attempt.controller.abort();
}
