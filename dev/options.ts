import { parseArgs, type ParseArgsConfig } from 'node:util';

/** A program's options; `undefined` when it was called wrongly, which has been told on stderr then. */
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
