import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../dev/paths.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

const read = (path: string): Promise<string> => readFile(join(projectRoot, path), 'utf8');
const json = async (path: string): Promise<Record<string, unknown>> =>
  JSON.parse(await read(path)) as Record<string, unknown>;

test('every place that says which Node is supported says the same', async (t) => {
  const range = '^20.19 || ^22.20 || >=24.12';
  for (const path of ['package.json', 'infra/package.json'])
    t.deepEqual((await json(path))['engines'], { node: range }, path);
  t.regex(await read('.github/workflows/ci.yml'), /node: \[20, 22, 24\]/);
  const readme = await read('README.md');
  for (const row of ['| 20, from 20.19 |', '| 22, from 22.20 |', '| 24, from 24.12 |'])
    t.true(readme.includes(row), row);
  t.regex(await read('dev/bootstrap.mjs'), /oldestNode = \[20, 19\]/);
  // Images and the smoke walk of continuous integration.
  const image = /^FROM node:(\d+)\./m.exec(await read('Dockerfile.api'))?.[1];
  t.is(image, (await read('.nvmrc')).trim());
});

test('each other Node is pinned by its exact version and digest', async (t) => {
  const all = (await json('dev/other-nodes.json')) as Record<
    string,
    Record<string, { version: string; integrity: string }>
  >;
  t.deepEqual(Object.keys(all), ['22', '24']);
  for (const [major, platforms] of Object.entries(all)) {
    t.true('linux-x64' in platforms);
    for (const [platform, { version, integrity }] of Object.entries(platforms)) {
      t.true(version.startsWith(`${major}.`), `${platform} ${version}`);
      t.regex(integrity, /^sha512-[A-Za-z0-9+/]{86}==$/, platform);
    }
  }
});
