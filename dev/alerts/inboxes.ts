import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http';
import { json, text } from 'node:stream/consumers';
import { SMTPServer } from 'smtp-server';
import { loopback } from '../stack/processes/ports.js';

/** What arrived about one state on one way. */
export interface Arrival {
  readonly way: 'webhook' | 'mail';
  readonly kind: 'raised' | 'cleared';
  /** The state's name in a webhook, its title in a mail. */
  readonly state: string;
  readonly at: number;
}

/** Where notices arrive, and the servers that can be told to refuse. */
export interface Inboxes {
  readonly arrivals: readonly Arrival[];
  readonly heartbeats: () => number;
  readonly webhookUrl: string;
  readonly heartbeatUrl: string;
  readonly firehoseUrl: string;
  readonly smtp: { readonly host: string; readonly port: number };
  /** How the mail server and Firehose behave from now on. */
  readonly behaviour: Behaviour;
  close(): Promise<void>;
}

export interface Behaviour {
  /** `down`: it takes neither connections nor mails. `refuse`: our account is suspended. */
  mail: 'take' | 'down' | 'refuse';
  /** `refuse`: our rights are incomplete. */
  firehose: 'take' | 'refuse';
}

/** The mailbox of the operators. */
export const OPERATOR = 'operator@alerts.test';
/** A recipient that the mail server refuses for good. */
export const NOBODY = 'nobody';
/** A recipient whose mails are taken without an answer. */
export const SILENT = 'silent';

/** Opens a mail server, a webhook, a heartbeat and a Firehose on loopback. */
export async function openInboxes(): Promise<Inboxes> {
  const arrivals: Arrival[] = [];
  const behaviour: Behaviour = { mail: 'take', firehose: 'take' };
  let heartbeats = 0;
  const http = createHttpServer((req, res) => {
    answer(req, behaviour, {
      onWebhook: (arrived) => void arrivals.push(...arrived),
      onHeartbeat: () => void (heartbeats += 1),
    }).then(
      ({ status, body }) => res.writeHead(status).end(body),
      () => res.writeHead(400).end(),
    );
  });
  const smtp = openMailServer(behaviour, arrivals);
  const [httpPort, smtpPort] = await Promise.all([
    portOf(http.listen(0, loopback)),
    portOf(smtp.listen(0, loopback)),
  ]);
  const url = `http://${loopback}:${httpPort}`;
  return {
    arrivals,
    heartbeats: () => heartbeats,
    webhookUrl: `${url}/webhook`,
    heartbeatUrl: `${url}/heartbeat`,
    firehoseUrl: url,
    smtp: { host: loopback, port: smtpPort },
    behaviour,
    async close() {
      http.closeAllConnections();
      await Promise.all([
        new Promise((resolve) => http.close(resolve)),
        new Promise<void>((resolve) => smtp.close(() => resolve())),
      ]);
    },
  };
}

async function portOf(server: Server | SMTPServer['server']): Promise<number> {
  if (!server.listening) await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

interface Arrive {
  onWebhook(arrived: readonly Arrival[]): void;
  onHeartbeat(): void;
}

async function answer(
  req: IncomingMessage,
  { firehose }: Behaviour,
  { onWebhook, onHeartbeat }: Arrive,
): Promise<{ status: number; body: string }> {
  if (req.url === '/heartbeat') {
    onHeartbeat();
    return { status: 200, body: '' };
  }
  const body = (await json(req)) as {
    readonly alerts?: readonly { readonly state: Arrival['kind']; readonly name: string }[];
    readonly Records?: readonly unknown[];
  };
  if (req.url === '/webhook') {
    const at = Date.now();
    onWebhook(
      (body.alerts ?? []).map(({ state: kind, name: state }) => ({
        way: 'webhook',
        kind,
        state,
        at,
      })),
    );
    return { status: 200, body: 'ok' };
  }
  if (firehose === 'refuse')
    return { status: 400, body: '{"__type":"AccessDeniedException","message":"not authorized"}' };
  const RequestResponses = (body.Records ?? []).map((_, i) => ({ RecordId: String(i) }));
  return { status: 200, body: JSON.stringify({ FailedPutCount: 0, RequestResponses }) };
}

const refusal = (code: number, message: string): Error =>
  Object.assign(new Error(message), { responseCode: code });

const closed = ({ mail }: Behaviour): Error | null =>
  mail === 'down' ? refusal(421, 'we are closed') : null;

function openMailServer(behaviour: Behaviour, arrivals: Arrival[]): SMTPServer {
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    closeTimeout: 1,
    onConnect: (_session, callback) => callback(closed(behaviour)),
    // A connection that was opened before may be in use yet.
    onMailFrom: (_address, _session, callback) =>
      callback(
        behaviour.mail === 'refuse'
          ? refusal(535, '5.7.0 your account is suspended')
          : closed(behaviour),
      ),
    onRcptTo: ({ address }, _session, callback) =>
      callback(address.startsWith(NOBODY) ? refusal(550, '5.1.1 no such user') : null),
    onData(stream, { envelope }, respond) {
      const [to] = envelope.rcptTo;
      // A client that is killed in the middle of a mail ends the stream with an error.
      text(stream).then((source) => {
        if (to?.address === OPERATOR) arrivals.push(...statesIn(source));
        if (!to?.address.startsWith(SILENT)) respond();
      }, respond);
    },
  });
  server.on('error', () => undefined);
  return server;
}

/** The states that a mail tells of, by their titles. */
function statesIn(source: string): Arrival[] {
  const at = Date.now();
  const plain = source.split('text/html', 1)[0] ?? '';
  const decoded = plain.replaceAll('=\r\n', '').replaceAll('=3D', '=');
  return [...decoded.matchAll(/^(Critical|Warning|Recovered): (.+)$/gm)].map(
    ([, word, title = '']) => ({
      way: 'mail',
      kind: word === 'Recovered' ? 'cleared' : 'raised',
      state: title.trim(),
      at,
    }),
  );
}
