import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../paths.js';
import { cutChangelog, sectionOf } from './changelog.js';

/** Runs a program in the repository and resolves to its standard output. @throws if it fails. */
export type Run = (program: string, ...args: readonly string[]) => Promise<string>;

export interface Cut {
  readonly version: string;
  readonly changelog: string;
  /** The commits that the version is of, by type. */
  readonly commits: string;
}

const cliff = join(projectRoot, 'node_modules', '.bin', 'git-cliff');
const CHANGELOG = 'CHANGELOG.md';

/** What the next version would be, by the commits since the last tag; changes nothing. @throws if there is nothing to release. */
export async function planCut(root: string, run: Run, today: Date): Promise<Cut> {
  const version = (await run(cliff, '--bumped-version')).trim().replace(/^v/, '');
  if (!/^\d+\.\d+\.\d+$/.test(version)) throw new Error(`git-cliff names no version: ${version}`);
  const tags = (await run('git', 'tag', '--list', `v${version}`)).trim();
  if (tags !== '') throw new Error(`Nothing to release: no feature or fix since v${version}.`);
  const text = await readFile(join(root, CHANGELOG), 'utf8');
  const changelog = cutChangelog(text, version, today.toISOString().slice(0, 10));
  const commits = await run(cliff, '--unreleased', '--tag', `v${version}`);
  return { version, changelog, commits: commits.trim() };
}

/** Makes the version the one of package.json, its lock and the changelog, and commits that. `build` writes what follows from it. */
export async function cut(
  root: string,
  run: Run,
  build: () => Promise<unknown>,
  { version, changelog }: Cut,
): Promise<void> {
  await run('npm', 'version', version, '--no-git-tag-version', '--allow-same-version');
  await writeFile(join(root, CHANGELOG), changelog);
  await build();
  await run('git', 'commit', '--all', '--message', `chore(release): ${version}`);
}

/**
 * The notes of a release: what the changelog says of it, then all commits.
 * @throws if the tag is not the version of package.json, or the changelog says nothing of it.
 */
export async function notesOf(root: string, run: Run, tag: string): Promise<string> {
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  if (tag !== `v${manifest.version}`)
    throw new Error(`The tag is ${tag}, and package.json says ${manifest.version}.`);
  const section = sectionOf(await readFile(join(root, CHANGELOG), 'utf8'), manifest.version);
  if (section === undefined) throw new Error(`CHANGELOG.md says nothing of ${manifest.version}.`);
  const commits = (await run(cliff, '--current')).trim();
  return `${section}\n\n### Commits\n\n${commits}\n`;
}
