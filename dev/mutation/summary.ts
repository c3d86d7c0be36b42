import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { join, posix } from 'node:path';
import * as z from 'zod';
import { projectRoot } from '../paths.js';
import type { Mutant } from './mutants.js';
import type { TestOutcome } from './run-files.js';

const Score = z.object({
  found: z.int(),
  tried: z.int(),
  killed: z.int(),
  timed_out: z.int(),
  survived: z.int(),
  not_reached: z.int(),
});

const MutationSummary = z.object({
  date: z.iso.date(),
  seed: z.int(),
  test_files: z.int(),
  folders: z.record(z.string(), Score),
  survivors: z.array(z.object({ file: z.string(), line: z.int(), what: z.string() })),
});

/** The committed results of `npm run mutation`. */
export type MutationSummary = z.output<typeof MutationSummary>;
type Score = z.output<typeof Score>;

/** What became of one mutant: `passed` and `not reached` survive. */
export type MutantResult = TestOutcome | 'not reached';

/** The file of the summary, relative to the project's root. */
export const SUMMARY_FILE = 'security/mutation-score.json';

/** Reads the committed summary. @throws if it is missing or invalid. */
export const readSummary = async (root: URL): Promise<MutationSummary> =>
  MutationSummary.parse(JSON.parse(await readFile(new URL(SUMMARY_FILE, root), 'utf8')));

/** Counts the results by folder, prints the scores, and writes the summary. */
export async function writeSummary(
  run: Pick<MutationSummary, 'seed' | 'test_files'>,
  all: readonly (Mutant & { readonly folder: string })[],
  results: ReadonlyMap<string, MutantResult>,
): Promise<void> {
  const folders: Record<string, Score> = {};
  for (const folder of new Set(all.map((mutant) => mutant.folder))) {
    const mutants = all.filter((mutant) => mutant.folder === folder);
    const count = (result: MutantResult): number =>
      mutants.filter(({ id }) => results.get(id) === result).length;
    const score = {
      found: mutants.length,
      tried: mutants.filter(({ id }) => results.has(id)).length,
      killed: count('failed'),
      timed_out: count('timed out'),
      survived: count('passed'),
      not_reached: count('not reached'),
    };
    folders[folder] = score;
    process.stdout.write(`${folder}: ${percentOf(score)} % of ${score.tried} noticed\n`);
  }
  const survivors = all
    .filter(({ id }) => ['passed', 'not reached'].includes(results.get(id) ?? ''))
    .map(({ file, start, what }) => Object.assign(sourcePosition(file, start), { what }));
  const date = new Date().toISOString().slice(0, 10);
  const summary: MutationSummary = { date, ...run, folders, survivors };
  await writeFile(join(projectRoot, SUMMARY_FILE), `${JSON.stringify(summary, null, 2)}\n`);
}

/** The mutation score in percent: mutants that were killed or timed out, of all that were tried. */
const percentOf = ({ tried, killed, timed_out: timedOut }: Score): number =>
  tried === 0 ? 0 : Math.round((100 * (killed + timedOut)) / tried);

/** The summary as Markdown: a paragraph and a table. */
export function mutationTable({
  date,
  seed,
  test_files: testFiles,
  folders,
  survivors,
}: MutationSummary): string[] {
  const tried = Object.values(folders).reduce((sum, score) => sum + score.tried, 0);
  return [
    `\`npm run mutation\` changes the compiled code in one place at a time and runs the tests that run that place: ${tried}`,
    `mutants, a sample by seed ${seed}, against ${testFiles} test files, on ${date}. A change that makes a test fail or hang is noticed. Of the`,
    `${survivors.length} that were not, \`${SUMMARY_FILE}\` names each.`,
    '',
    '| folder | places to change | tried | noticed | of these by a hang | run by a test, not noticed | run by none of these tests |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...Object.entries(folders).map(
      ([folder, score]) =>
        `| \`${folder}\` | ${score.found} | ${score.tried} | ${percentOf(score)} % | ${score.timed_out} | ${score.survived} | ${score.not_reached} |`,
    ),
  ];
}

/** The source position of an offset in a compiled file. */
function sourcePosition(file: string, offset: number): { file: string; line: number } {
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
