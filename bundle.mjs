// Bundles the API, the worker, the command line and the migrations with the packages that they load, each into one file with
// its compiled code: `dist/api/main.bundle.cjs`, `dist/workers/main.bundle.cjs` and so on. What tsc has written in their place,
// `dist/api/main.js`, then only runs the bundle. Node finds, reads and compiles one file instead of a thousand, and starts in a
// third of the time (docs/adr/0028-bundled-programs.md). Part of `npm run build`, behind tsc, which checks the types.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { build } from 'esbuild';

/** An image is built from its own folders alone. */
const programs = ['api/main', 'workers/main', 'cli/main', 'migrations/run'].filter((program) =>
  existsSync(`${program}.ts`),
);

/** Loaded from node_modules: native code, files that are read from beside the code, and what is rarely or never needed. */
const external = [
  'bcrypt',
  'msgpackr-extract',
  'swagger-ui-express',
  '@zxcvbn-ts/language-common',
  'iconv-lite',
  // Only where traces are exported.
  '@opentelemetry/*',
  // Optional, and not installed.
  'pg-native',
  'pg-hstore',
];

/**
 * Writes what is beyond ASCII as escapes, which esbuild leaves alone in patterns and tagged templates. Node can then read a
 * bundle byte by byte, and V8 keeps it in half of the memory.
 */
const escaped = (code) =>
  // A backslash before it goes; one that belongs to another escape stays.
  code.replace(/\\?([^\0-\x7f])|\\[^]/g, (text, unit) =>
    unit === undefined ? text : `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

const sourcesInAscii = {
  name: 'sources-in-ascii',
  setup(bundle) {
    bundle.onLoad({ filter: /\.ts$/ }, async ({ path }) => ({
      contents: escaped(await readFile(path, 'utf8')),
      loader: 'ts',
    }));
  },
};

/** Maps a package's code to its file alone, not to lines: complete maps, read at each start, would be ten times as large. */
const packagesByFile = {
  name: 'packages-by-file',
  setup(bundle) {
    bundle.onLoad({ filter: /\/node_modules\/.*\.[cm]?js$/ }, async ({ path }) => {
      const map = JSON.stringify({ version: 3, sources: [basename(path)], mappings: 'AAAA' });
      const comment = `//# sourceMappingURL=data:application/json;base64,${Buffer.from(map).toString('base64')}`;
      return { contents: `${escaped(await readFile(path, 'utf8'))}\n${comment}`, loader: 'js' };
    });
  },
};

/** Sequelize reads the data types of every dialect at its start, and has whole dialects for databases that nobody uses here. */
const withoutOtherDialects = {
  name: 'without-other-dialects',
  setup(bundle) {
    bundle.onLoad(
      { filter: /\/sequelize\/lib\/dialects\/(db2|mariadb|mssql|mysql|oracle|snowflake|sqlite)\// },
      () => ({
        contents: 'module.exports = () => ({});',
        loader: 'js',
      }),
    );
  },
};

/** What esbuild gives every function its name with, also those that are made anew for each request. */
const nameAll = '(target,value)=>__defProp(target,"name",{value,configurable:!0})';
/** The same for classes, which esbuild names in a block of their own. As long as its own name, for the columns of the map. */
const nameIt = `const nameIt = (target, value) => {
  if (target.name !== value) Object.defineProperty(target, 'name', { value, configurable: true });
};`;

const { outputFiles } = await build({
  entryPoints: programs.map((program) => ({ in: `${program}.ts`, out: program })),
  outdir: 'dist',
  outExtension: { '.js': '.bundle.cjs' },
  bundle: true,
  platform: 'node',
  // Compiled code can be kept for scripts, not for modules, and none of it can `import()`.
  format: 'cjs',
  supported: { 'dynamic-import': false },
  target: 'node20.19',
  // Models and errors are distinguished by the names of their classes.
  keepNames: true,
  minifySyntax: true,
  // Node reads all of the text before it runs any of it.
  minifyWhitespace: true,
  sourcemap: true,
  sourcesContent: false,
  legalComments: 'none',
  external,
  // Sequelize loads the history of all time zones; the product uses UTC alone.
  alias: { 'moment-timezone': 'moment-timezone/moment-timezone.js' },
  banner: {
    js: `const bundleUrl = require('node:url').pathToFileURL(__filename).href;\n${nameIt}`,
  },
  define: {
    'import.meta.url': 'bundleUrl',
    'import.meta.dirname': '__dirname',
    // Node.js 20 has none yet. Without it pg loads all of `fetch` to find out whether this is Cloudflare.
    navigator: JSON.stringify({ userAgent: 'Node.js' }),
  },
  plugins: [withoutOtherDialects, packagesByFile, sourcesInAscii],
  logLevel: 'warning',
  write: false,
});
for (const { path, text } of outputFiles) {
  if (path.endsWith('.cjs') && !(text.includes(nameAll) && text.includes('static{__name(this,')))
    throw new Error(`esbuild names functions in another way: see nameAll in bundle.mjs (${path})`);
  if (path.endsWith('.cjs') && /[^\0-\x7f]/.test(text))
    throw new Error(`${path} has characters beyond ASCII: see run-bundle.ts`);
  // As long as what they replace: the source map counts columns.
  const named = text
    // A line for a shell in a module, not in a script.
    .replace(/^#!/, '//')
    .replace(nameAll, 'target=>target'.padEnd(nameAll.length))
    .replaceAll('static{__name(this,', 'static{nameIt(this,');
  await writeFile(path, named);
}
for (const program of programs) {
  await compile(resolve(`dist/${program}.bundle.cjs`));
  await writeFile(
    `dist/${program}.js`,
    `${program === 'cli/main' ? '#!/usr/bin/env node\n' : ''}import { runBundle } from '../shared/lifecycle/run-bundle.js';
import { fileURLToPath } from 'node:url';
runBundle(fileURLToPath(new URL('${basename(program)}.bundle.cjs', import.meta.url)));
`,
  );
}
if (programs.includes('cli/main')) await chmod('dist/cli/main.js', 0o755);

/** Keeps what V8 compiles while the program starts: without settings it ends when all is loaded. */
async function compile(bundle) {
  // V8 tells code that is outdated only by its length.
  for (const old of await readdir(dirname(bundle)))
    if (old.startsWith(`${basename(bundle)}.`) && old.endsWith('.cache'))
      await rm(join(dirname(bundle), old));
  const keep = `
    import { writeFileSync } from 'node:fs';
    import { compiledCodeOf, readBundle, runBundle } from './dist/shared/lifecycle/run-bundle.js';
    const [bundle] = process.argv.slice(1);
    const script = readBundle(bundle);
    process.once('exit', (code) => {
      // Thrown while it was loaded.
      if (code === 1) return;
      writeFileSync(compiledCodeOf(bundle), script.createCachedData());
      process.exitCode = 0;
    });
    runBundle(bundle, script);`;
  const args = ['--input-type=module', '--eval', keep, bundle];
  const { status, stderr } = spawnSync(process.execPath, args, { env: {}, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${bundle} cannot be loaded: ${stderr}`);
}

// What the console reads from beside the code: its style sheets and script, and the runbook.
const copies = [
  ['api/console/assets', 'dist/api/console/assets'],
  ['docs/runbook.md', 'dist/api/console/runbook.md'],
];
for (const [from, to] of copies) if (existsSync(from)) await cp(from, to, { recursive: true });
