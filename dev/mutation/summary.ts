import { readFile } from 'node:fs/promises';
import * as z from 'zod';

const Score = z.object({
  found: z.int(),
  tried: z.int(),
  killed: z.int(),
  timed_out: z.int(),
  survived: z.int(),
  not_reached: z.int(),
});

/** What `npm run mutation` has found, as it is committed. */
export const MutationSummary = z.object({
  date: z.iso.date(),
  seed: z.int(),
  test_files: z.int(),
  folders: z.record(z.string(), Score),
  survivors: z.array(z.object({ file: z.string(), line: z.int(), what: z.string() })),
});

/** What `npm run mutation` has found. */
export type MutationSummary = z.output<typeof MutationSummary>;
/** How one folder's mutants fared. */
export type Score = z.output<typeof Score>;

/** Where the summary is kept, below the project's root. */
export const SUMMARY_FILE = 'security/mutation-score.json';

/** Reads the committed summary. @throws when it is not there or not one. */
export const readSummary = async (root: URL): Promise<MutationSummary> =>
  MutationSummary.parse(JSON.parse(await readFile(new URL(SUMMARY_FILE, root), 'utf8')));

/** The part of those that were tried that a test noticed, in percent; of what no test runs, none is noticed. */
export const percentOf = ({ tried, killed, timed_out: timedOut }: Score): number =>
  tried === 0 ? 0 : Math.round((100 * (killed + timedOut)) / tried);

/** The summary as a Markdown table with a line before it. */
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
