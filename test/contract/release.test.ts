import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { projectRoot } from '../../dev/paths.js';
import { cutChangelog, sectionOf } from '../../dev/release/changelog.js';
import { cut, notesOf, planCut, type Run } from '../../dev/release/release.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

const today = new Date('2026-11-29T12:00:00Z');
const changelog = (unreleased: string): string =>
  `# Changelog\n\n## [Unreleased]\n\n${unreleased}\n## [0.1.0] - 2026-01-01\n\n- The first.\n`;

/** A repository of version 0.1.0, with its tag, and these commits after it. */
async function repository(
  t: ExecutionContext,
  subjects: readonly string[],
): Promise<{ root: string; run: Run }> {
  const root = await mkdtemp(join(tmpdir(), 'rollcall-release-'));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  // In a hook git points to the repository that it runs for.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_')),
  );
  const run: Run = async (program, ...args) =>
    (await promisify(execFile)(program, args, { cwd: root, env })).stdout;
  const commit = (subject: string) => run('git', 'commit', '--allow-empty', '--message', subject);
  await run('git', 'init', '--quiet');
  await run('git', 'config', 'user.name', 'Test');
  await run('git', 'config', 'user.email', 'test@example.com');
  await copyFile(join(projectRoot, 'cliff.toml'), join(root, 'cliff.toml'));
  const manifest = { name: 'sample', version: '0.1.0', lockfileVersion: 3, packages: {} };
  await writeFile(join(root, 'package.json'), JSON.stringify({ name: 'sample', version: '0.1.0' }));
  await writeFile(join(root, 'package-lock.json'), JSON.stringify(manifest));
  await writeFile(join(root, 'CHANGELOG.md'), changelog('- `OLD` is now `NEW`.\n'));
  await run('git', 'add', '.');
  await commit('feat: begin');
  await run('git', 'tag', 'v0.1.0');
  for (const subject of subjects) await commit(subject);
  return { root, run };
}

test('a version is cut of what people wrote; the commits decide which, and are listed in its notes', async (t) => {
  const { root, run } = await repository(t, [
    'fix(mail): wait longer',
    'feat(api)!: rename a setting',
    'docs: say so',
  ]);
  const plan = await planCut(root, run, today);
  t.is(plan.version, '0.2.0');
  t.is(await run('git', 'status', '--porcelain'), '', 'planning changes nothing');
  let builds = 0;
  await cut(root, run, () => Promise.resolve((builds += 1)), plan);
  t.is(builds, 1);
  t.is((await run('git', 'log', '-1', '--format=%s')).trim(), 'chore(release): 0.2.0');
  t.is(await run('git', 'status', '--porcelain'), '', 'everything is committed');
  for (const file of ['package.json', 'package-lock.json'])
    t.regex(await readFile(join(root, file), 'utf8'), /"version": ?"0\.2\.0"/);
  const text = await readFile(join(root, 'CHANGELOG.md'), 'utf8');
  t.is(sectionOf(text, '0.2.0'), '- `OLD` is now `NEW`.');
  t.true(text.includes('## [Unreleased]\n\n## [0.2.0] - 2026-11-29\n\n- `OLD`'));

  await run('git', 'tag', 'v0.2.0');
  const notes = await notesOf(root, run, 'v0.2.0');
  t.true(notes.startsWith('- `OLD` is now `NEW`.\n\n### Commits\n'), notes);
  t.regex(notes, /\*\*breaking\*\* api: rename a setting \([0-9a-f]{7}\)/);
  t.regex(notes, /mail: wait longer/);
  t.notRegex(notes, /say so|begin/);
  await t.throwsAsync(notesOf(root, run, 'v0.3.0'), { message: /package\.json says 0\.2\.0/ });
});

test('fixes alone raise the last number, and documents alone nothing', async (t) => {
  const fixed = await repository(t, ['fix: one thing']);
  t.is((await planCut(fixed.root, fixed.run, today)).version, '0.1.1');
  const unchanged = await repository(t, []);
  await t.throwsAsync(planCut(unchanged.root, unchanged.run, today), {
    message: /Nothing to release/,
  });
});

test('nothing is cut of which the changelog is silent, and no version twice', (t) => {
  t.throws(() => cutChangelog(changelog(''), '0.2.0', '2026-11-29'), { message: /nothing under/ });
  t.throws(() => cutChangelog(changelog('- More.\n'), '0.1.0', '2026-11-29'), {
    message: /already/,
  });
  t.is(sectionOf(changelog('- More.\n'), '0.3.0'), undefined);
});
