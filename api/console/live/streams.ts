import type { Response } from 'express';

/** The open streams of live updates of this process. */
export interface Streams {
  readonly size: number;
  /** False when there are too many, in all or of this session. */
  add(sessionId: number, res: Response): boolean;
  /** Ends all of them; none is added any more. */
  close(): Promise<void>;
}

export function createStreams(): Streams {
  const open = new Map<Response, number>();
  let isClosed = false;
  return {
    get size() {
      return open.size;
    },
    add(sessionId, res) {
      if (isClosed) return false;
      open.set(res, sessionId);
      res.once('close', () => open.delete(res));
      return true;
    },
    async close() {
      isClosed = true;
      for (const res of open.keys()) res.end();
    },
  };
}
