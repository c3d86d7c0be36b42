import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** What came over a connection, as it came. */
export interface RawAnswer {
  readonly status: number;
  /** By lower-case name; of several the last. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** All of it: more than one answer, if there was more than one. */
  readonly text: string;
}

/** A connection of the test's own. What the server does to it is no error: being cut off is what these tests are about. */
export async function openConnection(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  return socket;
}

/** Sends these bytes and nothing else, and reads until the server closes the connection. */
export async function exchange(url: string, request: string | Uint8Array): Promise<RawAnswer> {
  const socket = await openConnection(url);
  socket.write(request);
  return readAnswer(socket);
}

/** Reads until the server closes the connection. */
export async function readAnswer(socket: Socket): Promise<RawAnswer> {
  let received = '';
  // What came before the connection was reset counts too.
  socket.setEncoding('utf8').on('data', (text: string) => (received += text));
  await new Promise((resolve) => socket.once('close', resolve));
  const [head = '', ...rest] = received.split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  return {
    status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1] ?? 0),
    headers: new Map(lines.map(headerIn)),
    body: rest.join('\r\n\r\n'),
    text: received,
  };
}

function headerIn(line: string): [name: string, value: string] {
  const colon = line.indexOf(':');
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}
