import type { IncomingMessage } from 'node:http';

/** A live session of the console, and who it belongs to. */
export interface ConsoleSession {
  readonly id: number;
  readonly admin: { readonly id: number; readonly email: string; readonly name: string };
  /** Has read-only access. */
  readonly isReadOnly: boolean;
  /** Proof that a form was rendered for this session. */
  readonly formToken: string;
}

/** The name of the field that every form carries. */
export const FORM_TOKEN = 'csrf';

const sessions = new WeakMap<IncomingMessage, ConsoleSession>();

/** Set by the guard, once for a request. */
export const setSession = (req: IncomingMessage, session: ConsoleSession): void =>
  void sessions.set(req, session);

/** The session of a request, behind the guard. */
export function sessionOf(req: IncomingMessage): ConsoleSession {
  const session = sessions.get(req);
  if (!session) throw new Error('The route is not behind requireOperator');
  return session;
}

/** The session of a request if it has got that far. */
export const knownSessionOf = (req: IncomingMessage): ConsoleSession | undefined =>
  sessions.get(req);
