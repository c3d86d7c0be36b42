const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const sameKeyPressMs = 500;

/**
 * An AbortSignal that fires at the first Ctrl-C (or SIGTERM, or SIGHUP), or when dev/bootstrap.mjs, which started this
 * process, is gone; the second signal ends the process at once.
 * One Ctrl-C may arrive several times: from the terminal, from npm and from dev/bootstrap.mjs.
 */
export function listenForStop(): AbortSignal {
  const stop = new AbortController();
  let firstAt: number | undefined;
  for (const name of stopSignals) {
    process.on(name, () => {
      if (firstAt === undefined) {
        firstAt = Date.now();
        stop.abort(new Error(`stopped by ${name}`));
      } else if (Date.now() - firstAt > sameKeyPressMs) {
        process.exit(130);
      }
    });
  }
  process.on('disconnect', () => {
    firstAt ??= Date.now();
    stop.abort(new Error('stopped because its parent is gone'));
  });
  // The listener alone would keep the process alive as long as its parent lives.
  process.channel?.unref();
  // A closed terminal must not turn an orderly stop into a crash.
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  return stop.signal;
}
