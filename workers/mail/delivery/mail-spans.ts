import { messageOf } from '../../../shared/errors/message-of.js';
import { jobSpan, openSpan, type OpenSpan } from '../../../shared/tracing/open-span.js';
import type { Tracer } from '../../../shared/tracing/tracer.js';
import type { MailReceipt } from '../mail.port.js';
import type { ClaimedMessage } from './outbox-claim.js';

/** Where spans of deliveries go, and what they name. */
export interface MailTracing {
  readonly tracer: Tracer;
  /** The mail server. */
  readonly server: { readonly host: string; readonly port: number };
}

/** The span of one attempt: a child of the request that promised the mail, whatever generation its job is of. */
export const openDeliverySpan = (
  tracing: MailTracing | undefined,
  jobId: string,
  message: ClaimedMessage,
): OpenSpan | undefined => openSpan(tracing?.tracer, message, jobSpan('mail', jobId));

const REPLY_CODE = /^([245]\d\d)\b/;

/** The span of one mail at the server: from waiting for a connection to the server's reply. */
export async function traceSending(
  tracing: MailTracing | undefined,
  parent: OpenSpan | undefined,
  send: () => Promise<MailReceipt>,
): Promise<MailReceipt> {
  if (!tracing || !parent) return send();
  const { host, port } = tracing.server;
  const span = parent.child({
    name: 'SMTP send',
    kind: 'client',
    attributes: {
      'network.protocol.name': 'smtp',
      'server.address': host,
      'server.port': port,
    },
  });
  try {
    const receipt = await send();
    span.end(replyOf(receipt.response));
    return receipt;
  } catch (error) {
    const message = messageOf(error);
    span.end(replyOf(message), message);
    throw error;
  }
}

const replyOf = (text: string) => {
  const [, code] = REPLY_CODE.exec(text) ?? [];
  return code === undefined ? {} : { 'rollcall.smtp.reply_code': Number(code) };
};
