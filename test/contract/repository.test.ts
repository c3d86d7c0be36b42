import { existsSync } from 'node:fs';
import { readFile, readdir, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, dirname, relative, resolve } from 'node:path';
import test from 'ava';
import * as z from 'zod';
import { generatedDocuments } from '../../dev/documents/generated-documents.js';
import { projectRoot } from '../../dev/paths.js';
import { logMessages } from '../../shared/logging/messages.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

test('every generated document is as the code makes it', async (t) => {
  const documents = await generatedDocuments();
  t.true(documents.length >= 5);
  for (const { path, content } of documents) {
    t.is(await readFile(join(projectRoot, path), 'utf8'), content, `${path}: run \`npm run docs\``);
  }
});

const lockfile = z.object({
  packages: z.record(
    z.string(),
    z.object({ optionalDependencies: z.record(z.string(), z.string()).default({}) }),
  ),
});

// npm leaves out what the registry did not have when the file was written, and `npm ci` then refuses it everywhere.
test('package-lock.json names the packages of every platform, not only of the one that wrote it', async (t) => {
  const { packages } = lockfile.parse(
    JSON.parse(await readFile(join(projectRoot, 'package-lock.json'), 'utf8')),
  );
  const wanted = Object.entries(packages).flatMap(([path, { optionalDependencies }]) =>
    Object.keys(optionalDependencies).map((name) => ({ path, name })),
  );
  t.true(wanted.length > 0);
  t.deepEqual(
    wanted.filter(({ path, name }) => !isLocked(packages, path, name)),
    [],
  );
});

/** True if a package for `name` is found from `path` upwards, as Node would look for it. */
function isLocked(packages: Record<string, unknown>, path: string, name: string): boolean {
  if (`${path === '' ? '' : `${path}/`}node_modules/${name}` in packages) return true;
  if (path === '') return false;
  const parent = path.lastIndexOf('/node_modules/');
  return isLocked(packages, parent < 0 ? '' : path.slice(0, parent), name);
}

/** Folders without documents of this project. */
const IGNORED = new Set(['.git', '.local', 'coverage', 'dist', 'node_modules']);
/** The first part of a path in a code span that must exist. */
const SOURCE_FOLDERS = /^(?:api|workers|shared|migrations|cli|dev|bench|test|docs|security)\//;
/** Paths that a reader is told to create, or patterns. */
const isPlaceholder = (path: string): boolean => /[*…<>${}\s]|NAME|NNNN|\.\.\./.test(path);

/** The changelog, and the mutation score, which names the folders as they were at its run. */
const describesThePast = (path: string): boolean => /(?:CHANGELOG|docs\/security)\.md$/.test(path);

test('every relative link and anchor in the documents resolves', async (t) => {
  const documents = await readDocuments(projectRoot);
  t.true(documents.size > 25);
  const broken = [...documents].flatMap(([path, text]) =>
    linksOf(text)
      .map((link) => ({ link, fault: faultOf(link, path, documents) }))
      .filter(({ fault }) => fault !== undefined)
      .map(({ link, fault }) => `${relative(projectRoot, path)}: ${link}: ${fault ?? ''}`),
  );
  t.deepEqual(broken, []);
});

test('a broken link and a broken anchor are noticed', (t) => {
  const readme = join(projectRoot, 'README.md');
  const documents = new Map([[readme, '# Title\n\n## Two `words`, 2\n']]);
  for (const good of ['README.md', '#title', 'README.md#two-words-2', 'api/', 'https://a.test/b'])
    t.is(faultOf(good, readme, documents), undefined, good);
  for (const bad of ['docs/nowhere.md', '#nothing', 'README.md#two-words', 'api/nothing/'])
    t.truthy(faultOf(bad, readme, documents), bad);
  t.deepEqual(linksOf('[a](b.md) `[c](d.md)`\n```\n[e](f.md)\n```\n<img src="g.png">'), [
    'b.md',
    'g.png',
  ]);
});

test('the list at the top of docs/runbook.md names every section', async (t) => {
  const text = await readFile(join(projectRoot, 'docs/runbook.md'), 'utf8');
  const [top = '', ...sections] = text.split(/^(?=## )/m);
  t.true(sections.length > 25);
  const listed = linksOf(top).map((link) => link.replace(/^#/, ''));
  t.deepEqual(
    sections.map((section) => anchorsOf(section)[0] ?? '').filter((id) => !listed.includes(id)),
    [],
  );
});

test('the runbook has no command of a checkout for a host, which has none', async (t) => {
  const lines = (await readFile(join(projectRoot, 'docs/runbook.md'), 'utf8')).split('\n');
  t.true(lines.some((line) => line.startsWith('node dist/cli/main.js ')));
  const needing = lines.filter((line) => /\bnpm (?:run|test|exec)\b/.test(line));
  t.deepEqual(
    needing.filter((line) => !line.includes('on a checkout')),
    [],
  );
});

test('every path in a code span of the documents exists', async (t) => {
  const missing = [...(await readDocuments(projectRoot))]
    .filter(([path]) => !describesThePast(path))
    .flatMap(([path, text]) =>
      codeSpansOf(text)
        .filter((span) => SOURCE_FOLDERS.test(span) && !isPlaceholder(span))
        .filter((span) => !existsSync(join(projectRoot, span)))
        .map((span) => `${relative(projectRoot, path)}: ${span}`),
    );
  t.deepEqual(missing, []);
});

test('docs/architecture.md names the folders as they are', async (t) => {
  const text = await readFile(join(projectRoot, 'docs/architecture.md'), 'utf8');
  const tree = /## Folders\n+```\n([^]+?)\n```/.exec(text)?.[1] ?? '';
  const named = foldersOf(tree);
  for (const process of ['api', 'workers', 'shared'] as const) {
    const entries = await readdir(join(projectRoot, process), { withFileTypes: true });
    const actual = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    t.deepEqual(named.get(process)?.toSorted(), actual.toSorted(), process);
  }
  for (const [top, children] of named) {
    for (const child of ['', ...children]) t.true(existsSync(join(projectRoot, top, child)), child);
  }
});

test('no document calls a log message by a former name', async (t) => {
  const documents = await readDocuments(projectRoot);
  const changelog = documents.get(join(projectRoot, 'CHANGELOG.md')) ?? '';
  const renamed = [...changelog.matchAll(/^\| `([^`]+)` \| `([^`]+)` \|$/gm)];
  t.true(renamed.length > 60);
  for (const [, , name = ''] of renamed) t.true(name in logMessages, `the changelog: ${name}`);
  const former = new Set(renamed.map(([, name = '']) => name));
  for (const [path, text] of documents) {
    if (path.endsWith('CHANGELOG.md')) continue;
    t.deepEqual(
      codeSpansOf(text).filter((span) => former.has(span)),
      [],
      relative(projectRoot, path),
    );
  }
});

/** The text of each Markdown file, by its path. */
async function readDocuments(folder: string): Promise<Map<string, string>> {
  const documents = new Map<string, string>();
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !IGNORED.has(entry.name))
      for (const [each, text] of await readDocuments(path)) documents.set(each, text);
    else if (entry.name.endsWith('.md')) documents.set(path, await readFile(path, 'utf8'));
  }
  return documents;
}

const withoutBlocks = (text: string): string => text.replaceAll(/^ *```[^]*?^ *```/gm, '');

function linksOf(text: string): string[] {
  const prose = withoutBlocks(text).replaceAll(/`[^`]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)|\b(?:src|href)="([^"]+)"/g)].map(
    ([, inline, attribute]) => inline ?? attribute ?? '',
  );
}

/** What stands between backticks, on one line however it is wrapped. */
const codeSpansOf = (text: string): string[] =>
  [...withoutBlocks(text).matchAll(/`([^`]+)`/g)].map(([, span = '']) =>
    span.replaceAll(/\s+/g, ' '),
  );

function faultOf(
  link: string,
  from: string,
  documents: ReadonlyMap<string, string>,
): string | undefined {
  if (/^[a-z]+:/.test(link)) return undefined;
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? from : resolve(dirname(from), path);
  if (!existsSync(target)) return 'there is no such file';
  if (anchor === undefined) return undefined;
  return anchorsOf(documents.get(target) ?? '').includes(anchor) ? undefined : 'no such heading';
}

/** The ids that GitHub gives to the headings. */
const anchorsOf = (text: string): string[] =>
  [...withoutBlocks(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );

/** The folders of a listing: those at the start of a line, and below each of them those that are indented. */
function foldersOf(tree: string): Map<string, string[]> {
  const folders = new Map<string, string[]>();
  let top = '';
  for (const line of tree.split('\n')) {
    const name = /^(\w+)\/ /.exec(line)?.[1];
    if (name !== undefined) {
      top = name;
      folders.set(top, []);
    } else if (line.startsWith('  ')) {
      const listed = /^ +((?:[\w-]+\/ ?)+)/.exec(line)?.[1] ?? '';
      folders.get(top)?.push(...listed.split(' ').flatMap((each) => each.replace(/\/$/, '') || []));
    }
  }
  return folders;
}

/** One planted file a line, with the rule that must name it. Targets are made when they are missing. */
const planted: readonly [rule: string, file: string, source: string][] = [
  ['imports-of-api', 'api/a.ts', "import '../workers/mail.js';"],
  ['imports-of-api', 'api/b.ts', "import type { value } from '../workers/mail.js';"],
  ['imports-of-api', 'api/c.ts', "export const load = () => import('../workers/mail.js');"],
  ['imports-of-api', 'api/d.ts', "export * from '../migrations/step.js';"],
  ['imports-of-workers', 'workers/a.ts', "import '../api/thing.js';"],
  ['imports-of-shared', 'shared/a.ts', "import '../api/thing.js';"],
  ['imports-of-shared', 'shared/b.ts', "import type { value } from '../workers/mail.js';"],
  ['imports-of-migrations', 'migrations/a.ts', "import '../api/thing.js';"],
  ['imports-of-cli', 'cli/a.ts', "import '../workers/mail.js';"],
  ['cli-uses-the-services', 'cli/b.ts', "import '../api/thing.js';"],
  ['cli-uses-the-services', 'cli/c.ts', "import '../api/y/y.views.js';"],
  ['nobody-imports-a-test', 'dev/a.ts', "import '../test/some.js';"],
  ['nobody-imports-a-main', 'dev/b.ts', "import '../api/main.js';"],
  ['api-leaves-queues-mail-and-aws-to-workers', 'api/e.ts', "import 'bullmq';"],
  ['api-leaves-queues-mail-and-aws-to-workers', 'api/f.ts', "import type { Q } from 'bullmq';"],
  ['api-leaves-queues-mail-and-aws-to-workers', 'api/g.ts', "import 'nodemailer';"],
  ['api-leaves-queues-mail-and-aws-to-workers', 'api/h.ts', "import '@aws-sdk/client-firehose';"],
  ['services-know-nothing-of-http', 'api/x/x.service.ts', "import type { R } from 'express';"],
  ['services-know-nothing-of-http', 'api/y/y.service.ts', "import './y.schemas.js';"],
  ['only-the-edge-of-a-feature-knows-http', 'api/x/part.ts', "import '../http/page.js';"],
  ['only-the-edge-of-a-feature-knows-http', 'api/x/x.views.ts', "import '../http/page.js';"],
  ['routes-never-touch-models', 'api/x/x.routes.ts', "import '../../shared/models/user.js';"],
  ['production-needs-no-dev-dependency', 'workers/b.ts', "import 'ava';"],
  ['no-unlisted-package', 'workers/c.ts', "import 'unlisted';"],
  ['every-import-resolves', 'shared/c.ts', "import './nowhere.js';"],
  ['no-cycle', 'shared/ring-a.ts', "import './ring-b.js';"],
  ['no-orphan', 'shared/lonely.ts', 'export const lonely = true;'],
];

const targets = {
  'api/thing.ts': 'export const value = 1;',
  'api/main.ts': 'export const value = 1;',
  'api/http/page.ts': 'export const value = 1;',
  'api/y/y.schemas.ts': "import '../http/page.js';",
  'api/y/y.views.ts': 'export const value = 1;',
  'workers/mail.ts': 'export const value = 1;',
  'migrations/step.ts': 'export const value = 1;',
  'test/some.ts': 'export const value = 1;',
  'shared/models/user.ts': "import './admin.js';",
  'shared/models/admin.ts': "import './user.js';",
  'shared/ring-b.ts': "import './ring-a.js';",
  'package.json': JSON.stringify({
    name: 'planted',
    type: 'module',
    dependencies: anyVersionOf('bullmq', 'nodemailer', '@aws-sdk/client-firehose', 'express'),
    devDependencies: anyVersionOf('ava'),
  }),
};

test('each boundary catches what crosses it, and two models may name one another', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'rollcall-boundaries-'));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  for (const [file, text] of Object.entries(targets)) await write(root, file, text);
  for (const [, file, source] of planted) await write(root, file, source);
  for (const name of [
    'bullmq',
    'nodemailer',
    '@aws-sdk/client-firehose',
    'express',
    'ava',
    'unlisted',
  ]) {
    await write(
      root,
      `node_modules/${name}/package.json`,
      JSON.stringify({ name, main: 'index.js' }),
    );
    await write(root, `node_modules/${name}/index.js`, '');
  }

  const violations = await violationsIn(root);
  t.deepEqual(violations, planted.map(([rule, file]) => `${rule}: ${file}`).toSorted());
});

/** Reads a tree with the rules of `npm run check`; what breaks them, as `rule: file`. */
async function violationsIn(root: string): Promise<string[]> {
  // Not before: it awaits something while it is loaded, and ava would begin without the tests of the files that share the process.
  const [{ cruise }, { default: extractDepcruiseOptions }] = await Promise.all([
    import('dependency-cruiser'),
    import('dependency-cruiser/config-utl/extract-depcruise-options'),
  ]);
  const options = await extractDepcruiseOptions(join(projectRoot, '.dependency-cruiser.cjs'));
  const folders = ['api', 'workers', 'shared', 'migrations', 'cli', 'dev'];
  const { output } = await cruise(folders, { ...options, baseDir: root });
  if (typeof output === 'string') throw new Error('dependency-cruiser answered with a text');
  return output.summary.violations.map(({ rule, from }) => `${rule.name}: ${from}`).toSorted();
}

async function write(root: string, file: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, file)), { recursive: true });
  await writeFile(join(root, file), text);
}

function anyVersionOf(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, '1.0.0']));
}
