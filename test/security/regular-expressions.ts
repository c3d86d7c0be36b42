import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from '@swc/core';
import { check } from 'recheck';
import { projectRoot } from '../../dev/paths.js';

/** A regular expression, and the file that it stands in. */
export interface FoundExpression {
  readonly file: string;
  readonly source: string;
  readonly flags: string;
}

/** What a folder's source files hold. */
export interface FoundExpressions {
  readonly files: number;
  readonly literals: readonly FoundExpression[];
  /** The files that make one of a text while they run, once for each place. */
  readonly builtIn: readonly string[];
}

/** Reads every source file below these folders of the project, and finds every regular expression in them. */
export async function findExpressions(folders: readonly string[]): Promise<FoundExpressions> {
  const literals: FoundExpression[] = [];
  const builtIn: string[] = [];
  const files = (await Promise.all(folders.map(sourceFilesIn))).flat();
  for (const file of files) {
    const text = await readFile(join(projectRoot, file), 'utf8');
    const program = await parse(text, { syntax: 'typescript', decorators: true, target: 'es2022' });
    visit(program, (node) => {
      const { pattern, flags } = node;
      if (typeof pattern === 'string' && typeof flags === 'string')
        literals.push({ file, source: pattern, flags });
      if (isConstructed(node)) builtIn.push(file);
    });
  }
  return { files: files.length, literals, builtIn };
}

async function sourceFilesIn(folder: string): Promise<string[]> {
  const names = await readdir(join(projectRoot, folder), { recursive: true });
  return names.filter((name) => /\.(?:ts|mjs)$/.test(name)).map((name) => join(folder, name));
}

/** What is read of a node of the syntax tree; a regular expression has a pattern and flags, and nothing else has both. */
interface SyntaxNode {
  readonly type?: unknown;
  readonly callee?: unknown;
  readonly pattern?: unknown;
  readonly flags?: unknown;
}

function visit(value: unknown, see: (node: SyntaxNode) => void): void {
  if (Array.isArray(value)) for (const each of value) visit(each, see);
  else if (typeof value === 'object' && value !== null) {
    see(value);
    for (const each of Object.values(value)) visit(each, see);
  }
}

const isConstructed = ({ type, callee }: SyntaxNode): boolean =>
  (type === 'NewExpression' || type === 'CallExpression') &&
  (callee as { value?: unknown } | undefined)?.value === 'RegExp';

/** Above this a count is read as no bound at all, which is stricter, and decided sooner. */
const MAX_COUNT = 8;
/** By far longer than any of ours takes, on a machine that has other work. */
const TIMEOUT_MS = 120_000;

/**
 * Why an expression may take more time than in proportion to a text's length, or `undefined` if no text makes it: as a
 * match, and as a search, which begins anew at each character. Decided by an automaton; only what looks around itself
 * is attacked with texts instead.
 */
export async function slowness({
  source,
  flags,
}: Pick<FoundExpression, 'source' | 'flags'>): Promise<string | undefined> {
  const unbounded = source.replaceAll(
    /(?<!\\u)\{(\d+)(,\d*)?\}/g,
    (count, least: string, most?: string) =>
      Math.max(Number(least), Number(most?.slice(1) ?? 0)) <= MAX_COUNT
        ? count
        : `{${Math.min(Number(least), MAX_COUNT)},}`,
  );
  const result = await check(unbounded, flags, { timeout: TIMEOUT_MS });
  if (result.status === 'safe') return undefined;
  return result.status === 'vulnerable'
    ? `${result.complexity.summary}, as with ${result.attack.pattern}`
    : `not decided: ${JSON.stringify(result.error)}`;
}
