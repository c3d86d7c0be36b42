import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Follows a file that grows, like `tail -F`. */
export interface LogFollower {
  /** Reads what has been appended since, then stops. */
  stop(): void;
}

const intervalMs = 200;
const maxChunkBytes = 1024 * 1024;

/** Calls `onLine` for each line appended to the file from now on, also after log rotation has replaced the file. */
export function followLog(file: string, onLine: (line: string) => void): LogFollower {
  let { inode, position } = withFile((handle) => {
    const { ino, size } = fstatSync(handle);
    return { inode: ino, position: size };
  });
  let unfinished = '';

  function withFile<Result>(use: (handle: number) => Result): Result {
    const handle = openSync(file, 'a+');
    try {
      return use(handle);
    } finally {
      closeSync(handle);
    }
  }

  function readNew(handle: number): string {
    const { ino, size } = fstatSync(handle);
    if (ino !== inode) {
      inode = ino;
      position = 0;
    }
    const chunk = Buffer.alloc(Math.max(0, Math.min(size - position, maxChunkBytes)));
    position += readSync(handle, chunk, 0, chunk.length, position);
    return chunk.toString('utf8');
  }

  function read(): void {
    const lines = (unfinished + withFile(readNew)).split('\n');
    unfinished = lines.pop() ?? '';
    for (const line of lines) if (line !== '') onLine(line);
  }

  const timer = setInterval(read, intervalMs);
  return {
    stop() {
      clearInterval(timer);
      read();
    },
  };
}
