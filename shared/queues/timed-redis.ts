// An `import` would parse all files of the package for the names that they export, before it runs them.
import ioredis = require('ioredis');

import Redis = ioredis.Redis;

type Command = ioredis.Command;

const TICK_MS = 250;

/** A command fails without a reply in so many ticks: after a second. */
const TICKS_PER_COMMAND = 4;

/**
 * A client whose commands fail without a reply within a second in which this process ran. `commandTimeout` of ioredis counts
 * the time as well in which a process stood still (a host that is out of CPU, a long garbage collection), and fails
 * commands whose replies wait in the socket, unread. Here that is one tick, however long.
 */
export class TimedRedis extends Redis {
  readonly #unanswered = new Map<Command, number>();
  #ticks = 0;
  #timer: NodeJS.Timeout | undefined;

  override sendCommand(...sent: Parameters<Redis['sendCommand']>): unknown {
    const answer = super.sendCommand(...sent);
    const [command] = sent;
    if (!command.isSettled) {
      this.#unanswered.set(command, this.#ticks);
      const forget = (): void => void this.#unanswered.delete(command);
      command.promise.then(forget, forget);
      this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
    }
    return answer;
  }

  #tick(): void {
    this.#ticks++;
    for (const [command, sentAt] of this.#unanswered) {
      // They are in the order in which they were sent.
      if (this.#ticks - sentAt <= TICKS_PER_COMMAND) return;
      this.#unanswered.delete(command);
      command.reject(new Error('Command timed out'));
    }
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
