import { existsSync, readFileSync } from 'node:fs';
import { createRequire, SourceMap, type SourceMapPayload } from 'node:module';
import { dirname, resolve } from 'node:path';
import { Script } from 'node:vm';

/** V8's own, whose `toString` is that of a line of a stack trace. */
type CallSite = NodeJS.CallSite & { toString(): string };

type Program = (require: NodeJS.Require, filename: string, dirname: string) => void;

/**
 * Runs a program that bundle.mjs has made of many files.
 * @param path of the bundle. Beside it lies `.map`, its source map.
 */
export function runBundle(path: string, script = readBundle(path)): void {
  const map = `${path}.map`;
  // Now, since a new release may take its place; parsed when it is needed.
  if (existsSync(map)) nameSourcesInStackTraces(path, readFileSync(map));
  const program = script.runInThisContext() as Program;
  program(createRequire(path), path, dirname(path));
}

/**
 * Reads a bundle with the code that V8 compiled for it when it was made: compiling would take a third of a program's start. V8
 * refuses code of another version, and compiles it anew (docs/adr/0028-bundled-programs.md).
 */
export function readBundle(path: string): Script {
  const cache = compiledCodeOf(path);
  // A bundle has no character beyond ASCII: bundle.mjs sees to it.
  const code = readFileSync(path, 'latin1');
  return new Script(`(function (require, __filename, __dirname) {${code}\n})`, {
    filename: path,
    ...(existsSync(cache) && { cachedData: readFileSync(cache) }),
  });
}

/** The file with a bundle's compiled code, which is for one version of Node on one architecture. */
export const compiledCodeOf = (path: string): string =>
  `${path}.${process.version}-${process.arch}.cache`;

/** As `--enable-source-maps` does, which knows modules alone, and would parse the map at the start. */
function nameSourcesInStackTraces(path: string, json: Buffer): void {
  let map: SourceMap | undefined;
  Error.prepareStackTrace = (error, frames: readonly CallSite[]) => {
    map ??= new SourceMap(JSON.parse(json.toString()) as SourceMapPayload);
    const lines = [Error.prototype.toString.call(error)];
    for (const frame of frames) lines.push(`    at ${describe(frame, path, map)}`);
    return lines.join('\n');
  };
}

function describe(frame: CallSite, path: string, map: SourceMap): string {
  const [line, column] = [frame.getLineNumber(), frame.getColumnNumber()];
  if (frame.getFileName() !== path || line === null || column === null) return frame.toString();
  const origin = map.findOrigin(line, column);
  if (!('fileName' in origin)) return frame.toString();
  const source = resolve(dirname(path), origin.fileName);
  return frame
    .toString()
    .replace(
      `${path}:${line}:${column}`,
      () => `${source}:${origin.lineNumber}:${origin.columnNumber}`,
    );
}
