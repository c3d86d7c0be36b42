import { readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { join, posix } from 'node:path';
import { projectRoot } from '../paths.js';

/** Where a place of a compiled file is in the sources. */
export function sourcePlace(file: string, offset: number): { file: string; line: number } {
  const before = readFileSync(join(projectRoot, file), 'utf8').slice(0, offset).split('\n');
  const map = new SourceMap(
    JSON.parse(readFileSync(join(projectRoot, `${file}.map`), 'utf8')) as SourceMapPayload,
  );
  const entry = map.findEntry(before.length - 1, before.at(-1)?.length ?? 0);
  if (!('originalSource' in entry)) return { file, line: before.length };
  return {
    file: posix.join(posix.dirname(file), entry.originalSource),
    line: entry.originalLine + 1,
  };
}
