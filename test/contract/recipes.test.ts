import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { projectRoot } from '../../dev/paths.js';

const run = promisify(execFile);

/** One edit that a recipe asks for: the code goes to the end of the file, before its anchor or in the anchor's place. */
interface Edit {
  readonly path: string;
  readonly place: 'at the end' | 'before' | 'instead of';
  readonly anchor: string;
  readonly code: string;
}

const EDIT =
  /`([\w./-]+\.ts)`,\s(?:(at the end)|(before|instead of)\s`([^`]+)`):\n+```ts\n([^]*?)```\n/g;
const NOT_COPIED = new Set(['.git', '.local', 'coverage', 'dist', 'node_modules']);
/** The API alone: the recipes touch nothing else that must compile, and it compiles in half of the time. */
const TSCONFIG = { extends: './tsconfig.json', include: ['api', 'shared'] };

test('the recipes for a route and a field compile and document what they add, in three and five files', async (t) => {
  const recipes = await readFile(join(projectRoot, 'docs/recipes.md'), 'utf8');
  const route = editsOf(recipes, 'Add a route');
  t.is(new Set(route.map(({ path }) => path)).size, 3);
  t.true(route.every(({ path }) => path.startsWith('api/users/')));
  const field = editsOf(recipes, 'Add a field');
  // A migration and the version of the schema are the two others.
  t.is(new Set(field.map(({ path }) => path)).size, 3);

  const copy = await copyOfTheTree();
  t.teardown(() => rm(copy, { recursive: true }));
  for (const edit of [...route, ...field]) await apply(edit, copy);
  await writeFile(join(copy, 'tsconfig.api.json'), JSON.stringify(TSCONFIG));
  await runIn(copy, tool('oxfmt'), 'api/users');
  await runIn(copy, tool('tsc'), '-p', 'tsconfig.api.json');
  await runIn(copy, process.execPath, 'dist/api/openapi/write.js');

  const { paths, components } = JSON.parse(
    await readFile(join(copy, 'dist/api/openapi/openapi.json'), 'utf8'),
  ) as {
    readonly paths: Record<string, { readonly get?: { readonly responses: object } }>;
    readonly components: {
      readonly schemas: Record<string, { readonly properties?: Record<string, object> }>;
    };
  };
  t.deepEqual(Object.keys(paths['/user-count']?.get?.responses ?? {}).slice(0, 3), [
    '200',
    '400',
    '401',
  ]);
  t.true('UserCount' in components.schemas);
  for (const schema of ['CreateUserRequest', 'UpdateUserRequest', 'User'])
    t.true('phone' in (components.schemas[schema]?.properties ?? {}), schema);
});

function editsOf(recipes: string, title: string): Edit[] {
  const section = recipes.split(/^## /m).find((each) => each.startsWith(`${title}\n`)) ?? '';
  return [...section.matchAll(EDIT)].map(([, path = '', atEnd, place, anchor = '', code = '']) => ({
    path,
    place: (atEnd ?? place) as Edit['place'],
    anchor,
    code,
  }));
}

/** @throws when the anchor is not in the file, or more than once. */
async function apply({ path, place, anchor, code }: Edit, root: string): Promise<void> {
  const file = join(root, path);
  const source = await readFile(file, 'utf8');
  if (place === 'at the end') return writeFile(file, `${source}\n${code}`);
  const [before = '', after, ...more] = source.split(anchor);
  if (after === undefined || more.length > 0)
    throw new Error(`${path} must hold ${anchor} exactly once`);
  const changed = place === 'before' ? `${code}\n${anchor}` : code.trimEnd();
  return writeFile(file, `${before}${changed}${after}`);
}

async function copyOfTheTree(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'rollcall-recipe-'));
  await cp(projectRoot, copy, {
    recursive: true,
    filter: (source) => !NOT_COPIED.has(relative(projectRoot, source).split('/')[0] ?? ''),
  });
  await symlink(join(projectRoot, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

const tool = (name: string): string => join(projectRoot, 'node_modules/.bin', name);

/** @throws with what the program printed when it fails. */
async function runIn(folder: string, program: string, ...args: string[]): Promise<void> {
  try {
    await run(program, args, { cwd: folder });
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${[program, ...args].join(' ')}:\n${stdout}${stderr}`, { cause: error });
  }
}
