import { parseArgs, type ParseArgsConfig } from 'node:util';

/** A program's options; `undefined`, after the error and the usage are on stderr, if they are wrong. */
export function readOptions<Config extends ParseArgsConfig>(
  usage: string,
  config: Config,
): ReturnType<typeof parseArgs<Config>> | undefined {
  try {
    return parseArgs(config);
  } catch (error) {
    console.error(
      `${error instanceof Error ? error.message : String(error)}\n\n${usage.trimEnd()}`,
    );
    return undefined;
  }
}

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const sameKeyPressMs = 500;

/**
 * An AbortSignal that fires at the first Ctrl-C (or SIGTERM, or SIGHUP), or when dev/bootstrap.mjs, which started this
 * process, is gone. A second signal ends the process at once.
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
    stop.abort(new Error('stopped because the parent process is gone'));
  });
  // The listener alone would keep the process alive as long as its parent lives.
  process.channel?.unref();
  // A closed terminal must not turn an orderly stop into a crash.
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  return stop.signal;
}
