/** Gathers the lines of one turn of the event loop. */
export interface LineTicker {
  write(line: string): void;
  /** Delivers what there is, now. */
  flush(): void;
  /** Delivers what there is; whatever is written from now on goes to this. */
  divert(deliver: (lines: readonly string[]) => void): void;
}

const MAX_HELD_LINES = 500;
const MAX_HELD_LENGTH = 1_024 * 1_024;

/** Delivers when the turn is over, or earlier when there are many lines. Delivering may write lines itself. */
export function createLineTicker(deliver: (lines: readonly string[]) => void): LineTicker {
  let lines: string[] = [];
  let length = 0;
  let turnEnd: NodeJS.Immediate | undefined;
  let put = deliver;

  const flush = (): void => {
    clearImmediate(turnEnd);
    turnEnd = undefined;
    const delivered = lines;
    lines = [];
    length = 0;
    if (delivered.length > 0) put(delivered);
  };
  return {
    flush,
    write(line) {
      lines.push(line);
      length += line.length;
      if (lines.length >= MAX_HELD_LINES || length >= MAX_HELD_LENGTH) flush();
      else turnEnd ??= setImmediate(flush);
    },
    divert(other) {
      flush();
      // What delivering has written itself.
      flush();
      put = other;
    },
  };
}
