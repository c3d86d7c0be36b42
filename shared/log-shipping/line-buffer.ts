/** Whole lines in UTF-8, each with its newline. */
export interface Lines {
  readonly text: Buffer;
  readonly count: number;
}

/** Collects the lines of one turn of the event loop, encoded, so that one call writes them. */
export interface LineBuffer {
  write(line: string): void;
  /** Delivers the collected lines now. */
  flush(): void;
  /** Delivers the collected lines as before, and all later ones to another function. */
  redirect(deliver: DeliverLines): void;
}

/** Returns whether it is done with the lines: their bytes are overwritten then. Delivering may itself write lines. */
type DeliverLines = (lines: Lines) => boolean;

interface BufferState {
  deliver: DeliverLines;
  /** Holds the collected lines. */
  text: Buffer;
  bytes: number;
  count: number;
  turnEnd: NodeJS.Immediate | undefined;
}

const TEXT_BYTES = 128 * 1_024;
/** In UTF-8. */
const MAX_BYTES_PER_UNIT = 3;
const NO_TEXT = Buffer.alloc(0);

/** Delivers at the end of the turn, or earlier when the buffer is full. */
export function createLineBuffer(deliver: DeliverLines): LineBuffer {
  const state: BufferState = { deliver, text: NO_TEXT, bytes: 0, count: 0, turnEnd: undefined };
  return {
    write: (line) => write(state, line),
    flush: () => flush(state),
    redirect: (to) => redirect(state, to),
  };
}

/** Encodes at once: a line that waits as a string costs the garbage collector more than writing it. */
function write(state: BufferState, line: string): void {
  const mostBytes = line.length * MAX_BYTES_PER_UNIT;
  if (state.bytes + mostBytes > state.text.length) makeRoom(state, mostBytes);
  state.bytes += state.text.write(line, state.bytes);
  state.count += 1;
  state.turnEnd ??= setImmediate(flush, state);
}

function makeRoom(state: BufferState, bytes: number): void {
  flush(state);
  // Delivering may have written lines itself, which are kept.
  const neededBytes = state.bytes + bytes;
  if (neededBytes <= state.text.length) return;
  const text = Buffer.allocUnsafeSlow(Math.max(neededBytes, TEXT_BYTES));
  state.text.copy(text, 0, 0, state.bytes);
  state.text = text;
}

function flush(state: BufferState): void {
  clearImmediate(state.turnEnd);
  state.turnEnd = undefined;
  const { text, bytes, count } = state;
  if (count === 0) return;
  // What delivering writes goes elsewhere.
  Object.assign(state, { text: NO_TEXT, bytes: 0, count: 0 });
  const isDone = state.deliver({ text: text.subarray(0, bytes), count });
  if (isDone && state.count === 0) state.text = text;
}

function redirect(state: BufferState, deliver: DeliverLines): void {
  flush(state);
  // Delivering may have written lines itself.
  flush(state);
  state.deliver = deliver;
}
