import type { Redis } from 'ioredis';

/**
 * Lets the commands of one turn of the event loop leave in one write. Where many requests are counted at once, writing costs
 * more than the rest of a command.
 */
export function oneWritePerTurn(client: Redis): Redis {
  const sendCommand = client.sendCommand.bind(client);
  let held: Redis['stream'] | undefined;

  client.sendCommand = (...args) => {
    // Before the first connection there is no stream, whatever its type says.
    const stream = client.stream as Redis['stream'] | undefined;
    if (stream && stream !== held) {
      held = stream;
      stream.cork();
      setImmediate(() => {
        if (held === stream) held = undefined;
        stream.uncork();
      });
    }
    return sendCommand(...args);
  };
  return client;
}
