import type { Terminal } from './command.js';

/** The streams of the process. A reader that closes its end, such as `head`, ends the process quietly. */
export function openTerminal({ stdin, stdout, stderr }: NodeJS.Process): Terminal {
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      process.exit(0);
    });
  }
  let interrupted: AbortSignal | undefined;
  return {
    stdin,
    out: (text) => written(stdout, text),
    err: (text) => written(stderr, text),
    interrupted: () => (interrupted ??= firstInterrupt()),
    async progress(total, what) {
      if (!stderr.isTTY) return { update: () => undefined, stop: () => undefined };
      const { SingleBar } = (await import('cli-progress')).default;
      const bar = new SingleBar({
        stream: stderr,
        format: `${what} {bar} {value} of {total}, {eta_formatted} left`,
        barsize: 30,
        hideCursor: true,
        clearOnComplete: true,
      });
      bar.start(total, 0);
      return {
        update: (done) => {
          // Others may have been given up since the command began.
          if (done > bar.getTotal()) bar.setTotal(done);
          bar.update(done);
        },
        stop: () => bar.stop(),
      };
    },
  };
}

/** Resolves when the text is on its way, so that a slow reader slows the command. */
const written = (stream: NodeJS.WriteStream, text: string): Promise<void> =>
  new Promise((resolve) => {
    if (text === '') resolve();
    else stream.write(text, () => resolve());
  });

/** Aborts at the first SIGINT or SIGTERM; a second one ends the process. */
function firstInterrupt(): AbortSignal {
  const interrupt = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupt.abort());
  return interrupt.signal;
}
