import { readFile } from 'node:fs/promises';
import { readFailureMatrix } from './records.js';

const BEGIN = '<!-- generated: failure matrix -->';
const END = '<!-- /generated -->';

/**
 * `docs/reliability.md` with its failure matrix made from the list, each row with the tests that show it.
 * @throws when a test that is named is not there.
 */
export async function reliabilityDocument(root: URL): Promise<string> {
  const text = await readFile(new URL('docs/reliability.md', root), 'utf8');
  const start = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (start < 0 || end < start)
    throw new Error(`docs/reliability.md must hold ${BEGIN} and ${END}`);
  const rows = await Promise.all(
    (await readFailureMatrix()).map(async ({ event, outcome, tests }) => {
      const links = await Promise.all(tests.map(({ file, title }) => linkTo(root, file, title)));
      return `| ${event} | ${outcome} | ${[...new Set(links)].join(', ')} |`;
    }),
  );
  const table = ['| what fails | what becomes of it | tested in |', '| --- | --- | --- |', ...rows];
  return `${text.slice(0, start)}${BEGIN}\n\n${table.join('\n')}\n\n${text.slice(end)}`;
}

async function linkTo(root: URL, file: string, title: string): Promise<string> {
  const source = await readFile(new URL(`test/${file}`, root), 'utf8');
  const isThere = ["'", '`', '"'].some((quote) => source.includes(`${quote}${title}`));
  if (!isThere) throw new Error(`test/${file} has no test that begins with: ${title}`);
  return `[${file.replace('.test.ts', '').replace(/^.*\//, '')}](../test/${file})`;
}
