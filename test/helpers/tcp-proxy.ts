import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { claimPort, loopback } from '../../dev/stack/processes/ports.js';
import type { Scope } from './context.js';

/** A way to a real server that can be broken and mended: how tests take a server away from one process alone. */
export interface TcpProxy {
  readonly port: number;
  /** The same URL with the proxy in the server's place. */
  urlFor(url: string): string;
  /** As if the server were gone: connections are cut, new ones refused. */
  refuse(): Promise<void>;
  /** As if something stood before a server that is gone: connections are taken, and cut at once. */
  hangUp(): void;
  /** As if the server were silent: connections stay and are taken, but nothing is answered. */
  silence(): void;
  /** As if the way back were cut: what is asked arrives and is done, but the answer never comes. */
  silenceAnswers(): void;
  /** As if the way of all present connections had vanished without a word: they stay, for ever silent; new ones work. */
  strand(): void;
  /** Adds `extra` right behind the first of all answers that end with `tail`: whoever reads the one reads the other. */
  addAfter(tail: Buffer, extra: Buffer): void;
  /** Back to normal; connections that were silenced are cut, but not those that were stranded. */
  restore(): Promise<void>;
  /** How many connections there are now, to the proxy and from it. */
  connections(): number;
}

/** Takes what one client sends to the server, in the order in which it is sent. */
export type SentBytes = (bytes: Buffer) => void;

/**
 * Opens a proxy in front of the server that the URL names; it closes with the scope.
 * `observe` is called for each connection, and what it returns receives everything that this client sends.
 */
export async function openTcpProxy(
  scope: Scope,
  targetUrl: string,
  observe?: () => SentBytes,
): Promise<TcpProxy> {
  const target = new URL(targetUrl);
  const claim = await claimPort(0);
  const sockets = new Set<Socket>();
  const stranded = new WeakSet<Socket>();
  let silent: 'neither way' | 'answers' | undefined;
  let addition: { readonly tail: Buffer; readonly extra: Buffer } | undefined;
  let hangsUp = false;
  let server: Server | undefined;

  const withAddition = (answer: Buffer): Buffer => {
    if (!addition || !answer.subarray(-addition.tail.length).equals(addition.tail)) return answer;
    const { extra } = addition;
    addition = undefined;
    return Buffer.concat([answer, extra]);
  };
  const onConnection = (client: Socket): void => {
    if (hangsUp) {
      client.on('error', () => undefined).destroy();
      return;
    }
    const upstream = connect({ host: target.hostname, port: Number(target.port) });
    const observer = observe?.();
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('data', (bytes) => {
        if (stranded.has(from)) return;
        if (silent === 'neither way' || (silent === 'answers' && from === upstream)) return;
        if (from === client) observer?.(bytes);
        to.write(from === upstream ? withAddition(bytes) : bytes);
      });
      // Whatever ends one side ends the other; why does not matter here.
      from.on('error', () => undefined);
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  };
  const cutAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const listen = async (): Promise<void> => {
    if (server) return;
    server = createServer(onConnection).listen(claim.port, loopback);
    await once(server, 'listening');
  };
  const refuse = async (): Promise<void> => {
    if (!server) return;
    const closed = once(server, 'close');
    server.close();
    server = undefined;
    cutAll();
    await closed;
  };

  await listen();
  scope.teardown(async () => {
    await refuse();
    await claim.release();
  });
  return {
    port: claim.port,
    urlFor(url) {
      const through = new URL(url);
      through.host = `${loopback}:${claim.port}`;
      return through.href;
    },
    refuse,
    hangUp() {
      hangsUp = true;
      cutAll();
    },
    silence() {
      silent = 'neither way';
    },
    silenceAnswers() {
      silent = 'answers';
    },
    strand() {
      for (const socket of sockets) stranded.add(socket);
    },
    addAfter(tail, extra) {
      addition = { tail, extra };
    },
    async restore() {
      if (silent !== undefined) cutAll();
      silent = undefined;
      addition = undefined;
      hangsUp = false;
      await listen();
    },
    connections: () => sockets.size,
  };
}
