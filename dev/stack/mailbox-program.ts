import http, { type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import type * as SmtpServer from 'smtp-server';
import { isLocalRequest } from '../../shared/http/network-address.js';

// Runs maildev with its own arguments, restricted to this user and this host. By itself it allows every origin (CORS) to
// read the mails, accepts any Host header, and writes world-readable files.

// The files that maildev creates are readable by this user alone.
process.umask(0o077);

const createServer = http.createServer;
Object.assign(http, {
  createServer: (...args: Parameters<typeof createServer>) => guarded(createServer(...args)),
});

const require = createRequire(import.meta.url);
const maildev = require.resolve('maildev/package.json');
const smtp = createRequire(maildev)('smtp-server') as { SMTPServer: typeof SmtpServer.SMTPServer };
refuseOnce(smtp.SMTPServer);
acknowledgeOnceListed(smtp);
require(join(dirname(maildev), 'bin', 'maildev'));

/**
 * Refuses the first mail to each address that begins with `refuse-once`, and takes the next: so that a dead letter, and what a
 * redrive does, can be seen. Maildev leaves this handler as it is.
 */
function refuseOnce(SMTPServer: typeof SmtpServer.SMTPServer): void {
  const refused = new Set<string>();
  SMTPServer.prototype.onRcptTo = ({ address }, _session, callback) => {
    const isFirst = address.startsWith('refuse-once') && !refused.has(address);
    refused.add(address);
    const refusal = new Error('5.1.1 User unknown (the next mail to it is taken)');
    callback(isFirst ? Object.assign(refusal, { responseCode: 550 }) : null);
  };
}

/** Answers a mail when the list has it: whoever was told that it has arrived looks there at once. */
function acknowledgeOnceListed(module: { SMTPServer: typeof SmtpServer.SMTPServer }): void {
  const waiting = new Map<string, () => void>();
  const listed = new Set<string>();
  module.SMTPServer = class extends module.SMTPServer {
    constructor({ onData, ...options }: SmtpServer.SMTPServerOptions) {
      super({
        ...options,
        onData: (stream, session, callback) =>
          onData?.(stream, session, (error, message) => {
            const id = /^Message queued as (\w+)$/.exec(String(message))?.[1];
            if (error || id === undefined || listed.delete(id)) callback(error, message);
            else waiting.set(id, () => callback(null, message));
          }),
      });
    }
  };
  // Loaded only now: it keeps the class that it finds.
  const mails = require('maildev/lib/mailserver') as NodeJS.EventEmitter;
  mails.on('new', ({ id }: { readonly id: string }) => {
    const acknowledge = waiting.get(id);
    if (acknowledge) acknowledge();
    else listed.add(id);
    waiting.delete(id);
  });
}

/** Rejects requests from other hosts or origins, WebSocket upgrades included, before any listener sees them. */
function guarded(server: Server): Server {
  const emit = server.emit.bind(server) as (event: string | symbol, ...args: unknown[]) => boolean;
  const guard = (event: string | symbol, ...args: unknown[]): boolean => {
    if (event !== 'request' && event !== 'upgrade') return emit(event, ...args);
    const isLocal = isLocalRequest(args[0] as IncomingMessage);
    if (event === 'upgrade') {
      if (isLocal) return emit(event, ...args);
      (args[1] as Duplex).destroy();
      return true;
    }
    const response = args[1] as ServerResponse;
    if (isLocal) return emit(event, args[0], withoutCors(response));
    response
      .writeHead(403, { 'content-type': 'text/plain' })
      .end('This mailbox is for its own host.\n');
    return true;
  };
  return Object.assign(server, { emit: guard });
}

function withoutCors(response: ServerResponse): ServerResponse {
  const setHeader = response.setHeader.bind(response);
  return Object.assign(response, {
    setHeader: (...[name, value]: Parameters<typeof setHeader>) =>
      name.toLowerCase().startsWith('access-control-') ? response : setHeader(name, value),
  });
}
