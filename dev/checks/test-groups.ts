import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { projectRoot } from '../paths.js';

// Loading the product and starting an API takes longer than the tests of most files. So files that allow it share a process
// in a whole run: ava takes a file of imports, a group, for one test file (docs/adr/0038-test-files-share-processes.md).

const groupsFolder = 'dist/groups';
const FILES_PER_GROUP = 16;

/** How a file says that it is for a group, and for which: the first that matches counts. */
const marks: readonly (readonly [RegExp, (name: string | undefined) => string])[] = [
  [/= useSharedContext\('([\w-]+)'\);/, (name = '') => name],
  // Tests that compute for long would keep those waiting that ask a database, so they are in two kinds of groups.
  [/^shareProcess\(\);[^]*= useContext\(\);/m, () => 'stores'],
  [/^shareProcess\(\);/m, () => 'parts'],
];

const TOP_LEVEL_AWAIT = /^(?:const [^=]+= )?await /m;

/** The processes of a whole run. Paths are relative to the project's root. */
export interface TestRunPlan {
  /** Test files by the group that imports them. */
  readonly groups: ReadonlyMap<string, readonly string[]>;
  /** Test files with a process of their own. */
  readonly alone: readonly string[];
}

/** Reads from the test files which of them share a process. */
export async function planTestRun(): Promise<TestRunPlan> {
  const byKind = new Map<string, string[]>();
  const alone: string[] = [];
  for (const file of await testFiles()) {
    const text = await readFile(join(projectRoot, file), 'utf8');
    const kind = kindOf(text);
    // Ava begins before the files after it have declared their tests.
    if (kind !== undefined && TOP_LEVEL_AWAIT.test(text))
      throw new Error(`${file} cannot share a process: it awaits something while it is loaded`);
    if (kind === undefined) alone.push(file);
    else byKind.set(kind, [...(byKind.get(kind) ?? []), file]);
  }
  const groups = [...byKind].flatMap(([kind, files]) =>
    dealOut(files).map((part, i) => [`${groupsFolder}/${kind}-${i + 1}.test.js`, part] as const),
  );
  return { groups: new Map(groups), alone };
}

/** Writes the files of imports, and no others of an earlier run beside them. */
export async function writeTestGroups({ groups }: TestRunPlan): Promise<void> {
  const folder = join(projectRoot, groupsFolder);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const [group, files] of groups) {
    const imports = files.map((file) => join('dist', file.replace(/\.ts$/, '.js')));
    const lines = imports.map((path) => `import '${relative(groupsFolder, path)}';\n`);
    await writeFile(join(projectRoot, group), lines.join(''));
  }
}

function kindOf(text: string): string | undefined {
  for (const [mark, kind] of marks) {
    const found = mark.exec(text);
    if (found) return kind(found[1]);
  }
  return undefined;
}

async function testFiles(): Promise<string[]> {
  const files = await readdir(join(projectRoot, 'test'), { recursive: true });
  return files
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => join('test', file))
    .toSorted();
}

/** Into as few parts as there must be, neighbours into different ones: files of a folder take about as long. */
function dealOut(files: readonly string[]): string[][] {
  const count = Math.ceil(files.length / FILES_PER_GROUP);
  return Array.from({ length: count }, (_, part) => files.filter((_file, i) => i % count === part));
}
