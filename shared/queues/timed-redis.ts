// An `import` would parse all files of the package for the names that they export, before it runs them.
import ioredis = require('ioredis');

import Redis = ioredis.Redis;

/** How long a client waits for replies. */
export interface ReplyTime {
  /** After so many milliseconds without its reply a command fails, up to a quarter later. */
  readonly replyMs: number;
  /** The connection is closed then: all pending commands fail together, and another one is opened. */
  readonly leaves?: boolean;
}

type Command = ioredis.Command;

const TICKS = 4;

/**
 * A client that waits for replies as long as it may, while its process runs. `commandTimeout` and `socketTimeout` of ioredis
 * count the time as well in which a process stood still (a host that is out of CPU, a long garbage collection), and fail
 * commands whose replies wait in the socket, unread. Here that is one tick, however long.
 */
export class TimedRedis extends Redis {
  readonly #replyTime: ReplyTime;
  /** When they were sent, in ticks; in this order. */
  readonly #unanswered = new Map<Command, number>();
  #ticks = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: Omit<ioredis.RedisOptions, 'replyMapping'>, replyTime: ReplyTime) {
    super(options);
    this.#replyTime = replyTime;
  }

  override sendCommand(...sent: Parameters<Redis['sendCommand']>): unknown {
    const answer = super.sendCommand(...sent);
    const [command] = sent;
    if (!command.isSettled) {
      this.#unanswered.set(command, this.#ticks);
      const forget = (): void => void this.#unanswered.delete(command);
      command.promise.then(forget, forget);
      this.#timer ??= setInterval(() => this.#tick(), this.#replyTime.replyMs / TICKS);
    }
    return answer;
  }

  #tick(): void {
    this.#ticks++;
    for (const [command, sentAt] of this.#unanswered) {
      if (this.#ticks - sentAt <= TICKS) return;
      this.#unanswered.delete(command);
      if (this.#replyTime.leaves) this.stream.destroy(new Error('Connection timed out'));
      else command.reject(new Error('Command timed out'));
    }
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
