/** Whole lines in UTF-8, each with its newline. */
export interface Lines {
  readonly text: Buffer;
  readonly count: number;
}

/** Collects the lines of one turn of the event loop, so that they are encoded once and one call writes them. */
export interface LineBuffer {
  write(line: string): void;
  /** Delivers the collected lines now. */
  flush(): void;
  /** Delivers the collected lines as before, and all later ones to another function. */
  redirect(deliver: DeliverLines): void;
}

type DeliverLines = (lines: Lines) => void;

interface BufferState {
  lines: string[];
  /** Of all lines together, in UTF-16 units. */
  length: number;
  turnEnd: NodeJS.Immediate | undefined;
  deliver: DeliverLines;
}

const MAX_LINES = 500;
const MAX_LENGTH = 1_024 * 1_024;

/** Delivers at the end of the turn, or earlier when the buffer is full. Delivering may itself write lines. */
export function createLineBuffer(deliver: DeliverLines): LineBuffer {
  const state: BufferState = { lines: [], length: 0, turnEnd: undefined, deliver };
  return {
    write: (line) => write(state, line),
    flush: () => flush(state),
    redirect: (to) => redirect(state, to),
  };
}

function write(state: BufferState, line: string): void {
  state.lines.push(line);
  state.length += line.length;
  if (state.lines.length >= MAX_LINES || state.length >= MAX_LENGTH) flush(state);
  else state.turnEnd ??= setImmediate(flush, state);
}

function flush(state: BufferState): void {
  clearImmediate(state.turnEnd);
  state.turnEnd = undefined;
  const { lines } = state;
  state.lines = [];
  state.length = 0;
  if (lines.length > 0) state.deliver({ text: Buffer.from(lines.join('')), count: lines.length });
}

function redirect(state: BufferState, deliver: DeliverLines): void {
  flush(state);
  // Delivering may have written lines itself.
  flush(state);
  state.deliver = deliver;
}
