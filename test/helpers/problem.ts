import type { Answer } from './api-client.js';

/** An error's body, as far as tests look into it. */
export interface Problem {
  readonly code: string;
  readonly detail?: string;
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
}

/** What an error tells, without what names the request: two errors that tell the same are equal as texts. */
export function comparable({ status, body }: Answer): string {
  const rest: Record<string, unknown> = { ...(body as Record<string, unknown>) };
  delete rest['request_id'];
  delete rest['instance'];
  return `${status} ${JSON.stringify(rest)}`;
}
