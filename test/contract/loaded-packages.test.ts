import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { projectRoot } from '../../dev/paths.js';
import { readBundle } from '../../shared/lifecycle/run-bundle.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

/** What a process must not load to start, by the paths of modules below `node_modules`, with what to do instead. */
const unwanted = {
  'api/start': [
    ['bullmq/dist/cjs/index.js', 'import by path, see shared/queues/bullmq.d.ts'],
    ['bullmq/dist/cjs/classes/worker.js', 'the API only adds jobs'],
    ['rate-limiter-flexible/index.js', 'import by path, see rate-limiter-flexible.d.ts'],
    ['@zxcvbn-ts/', 'load at the first password, see common-passwords.ts'],
    ['swagger-ui-', 'load at the first request for it'],
    ['nodemailer/', 'only the worker sends mails'],
    ['@aws-sdk/', 'only the worker ships logs'],
    ['prom-client/', 'load at the first scrape, see exposition.ts'],
    ['@opentelemetry/', 'load where traces are exported, see openTracer'],
  ],
  'workers/start': [
    ['bullmq/dist/cjs/index.js', 'import by path, see shared/queues/bullmq.d.ts'],
    ['@aws-sdk/', 'load where a stream is configured, see openSink in workers/deps.ts'],
    ['@opentelemetry/', 'load where traces are exported, see openTracer'],
    ['express/', 'the worker answers with node:http'],
    ['@zxcvbn-ts/', 'only the API checks passwords'],
    ['bcrypt/', 'only the API checks passwords'],
    ['prom-client/', 'load at the first scrape, see exposition.ts'],
  ],
} as const;

for (const [program, modules] of Object.entries(unwanted)) {
  test(`${program}.js loads no package before it is needed`, async (t) => {
    const loaded = await modulesOf(program);
    t.true(loaded.some((path) => path.startsWith('sequelize/')));
    for (const [path, instead] of modules) {
      const found = loaded.filter((module) => module.startsWith(path));
      t.deepEqual(found, [], `${program}.js loads ${path} when it is imported: ${instead}`);
    }
  });
}

/** What a bundle may load from `node_modules` at its start: native code, and what an external package brings along. */
const LOADED_BY_BUNDLES =
  /^(?:bcrypt|detect-libc|iconv-lite|safer-buffer|(?:@msgpackr-extract\/)?msgpackr-extract|node-gyp-build)(?:-|\/)/;

for (const program of ['api', 'workers']) {
  test(`dist/${program}/main.js loads no package before it is needed`, async (t) => {
    // Without a configuration it ends at once, having loaded all that it imports.
    const loaded = await modulesOf(`${program}/main`);
    t.true(loaded.length > 0);
    t.deepEqual(
      loaded.filter((path) => !LOADED_BY_BUNDLES.test(path)),
      [],
      'an import of an external package runs at the start, even in a module that is loaded later: use require there',
    );
  });

  test(`dist/${program}/main.js runs one file, which V8 need not compile again`, async (t) => {
    const bundle = join(projectRoot, 'dist', program, 'main.bundle.cjs');
    t.notRegex(
      await readFile(bundle, 'utf8'),
      /\brequire\(['"]\.{1,2}\//,
      'npm run build bundles it',
    );
    t.false(readBundle(bundle).cachedDataRejected);
  });

  test(`a stack trace of dist/${program}/main.js names our sources line by line`, async (t) => {
    const trace = await run(`
      process.exit = () => { throw new Error('left'); };
      await import('./dist/${program}/main.js').catch(({ stack }) => console.log(stack));`);
    const source = await readFile(join(projectRoot, program, 'main.ts'), 'utf8');
    const line = source.split('\n').findIndex((text) => text.includes('loadOrExit(() =>')) + 1;
    t.regex(
      trace,
      /^Error: left\n    at process\.exit .*\n    at loadOrExit \(.*\/shared\/config\/config\.ts:\d+:\d+\)\n/,
    );
    t.true(trace.includes(`${join(projectRoot, program, 'main.ts')}:${line}:`), trace);
  });
}

/** The CommonJS modules that importing a program loads, until it ends, by their paths below `node_modules`. */
async function modulesOf(program: string): Promise<string[]> {
  const code = `
    import { createRequire } from 'node:module';
    const { cache } = createRequire(import.meta.url);
    process.on('exit', () => {
      process.exitCode = 0;
      console.log(JSON.stringify(Object.keys(cache)));
    });
    await import('./dist/${program}.js');
    process.exit();`;
  const paths = JSON.parse(await run(code)) as string[];
  const below = join(projectRoot, 'node_modules', '/');
  return paths
    .filter((path) => path.startsWith(below))
    .map((path) => path.slice(below.length).replaceAll('\\', '/'));
}

/** What a program prints that has no settings. */
async function run(code: string): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', code],
    { cwd: projectRoot, env: {}, maxBuffer: 4 * 1024 ** 2 },
  );
  return stdout;
}
