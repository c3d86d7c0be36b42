import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readOptions } from '../command-line.js';
import { projectRoot } from '../paths.js';
import { figuresOf, simulateAll, writtenFiles } from '../scaling/document.js';

// `npm run simulate:scaling`: simulates how the number of workers follows the work, and writes docs/scaling.md.

const USAGE = `npm run simulate:scaling

Simulates a day and other loads under the scaling policy and under others, prints the figures, and writes them with their
plots to docs/scaling.md and docs/images/. Nothing is started; the same code always gives the same figures.
`;

process.exitCode = await main();

async function main(): Promise<number> {
  const given = readOptions(USAGE, { options: { help: { type: 'boolean', default: false } } });
  if (!given) return 64;
  if (given.values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const all = simulateAll();
  for (const runs of all) {
    const [head = [], ...rows] = figuresOf(runs);
    process.stdout.write(`\n${runs[0]?.scenario.title ?? ''}\n`);
    for (const row of rows) {
      process.stdout.write(`  by ${row[0] ?? ''}\n`);
      const figures = row.slice(1).map((value, i) => `${head[i + 1] ?? ''} ${value}`);
      process.stdout.write(`    ${figures.join('; ')}\n`);
    }
  }
  const text = await readFile(join(projectRoot, 'docs/scaling.md'), 'utf8');
  const files = writtenFiles(text, all);
  for (const { path, content } of files) {
    await mkdir(dirname(join(projectRoot, path)), { recursive: true });
    await writeFile(join(projectRoot, path), content);
  }
  process.stdout.write(`\nwritten: ${files.map(({ path }) => path).join(', ')}\n`);
  return 0;
}
