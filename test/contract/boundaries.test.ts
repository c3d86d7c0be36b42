import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'ava';
import { cruise } from 'dependency-cruiser';
import extractDepcruiseOptions from 'dependency-cruiser/config-utl/extract-depcruise-options';
import { projectRoot } from '../../dev/paths.js';

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
    dependencies: packages('bullmq', 'nodemailer', '@aws-sdk/client-firehose', 'express'),
    devDependencies: packages('ava'),
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

function packages(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, '1.0.0']));
}
