import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../dev/paths.js';
import { logMessages } from '../../shared/logging/messages.js';

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
