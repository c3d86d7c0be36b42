// Bundles the API, the worker, the command line and the migrations with the packages that they load, each into one file that
// takes the place of what tsc has written: `dist/api/main.js`, `dist/workers/main.js` and so on. Node finds, reads and parses one
// file instead of a thousand, and starts in half of the time (docs/adr/0028-bundled-programs.md). Part of `npm run build`,
// behind tsc, which checks the types.

import { existsSync } from 'node:fs';
import { chmod, cp, readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
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
 * Maps a package's code to its file alone, not to lines: Node reads the whole map at the start, and decodes it at the first
 * error. Complete maps would be ten times as large.
 */
const packagesByFile = {
  name: 'packages-by-file',
  setup(bundle) {
    bundle.onLoad({ filter: /\/node_modules\/.*\.[cm]?js$/ }, async ({ path }) => {
      const map = JSON.stringify({ version: 3, sources: [basename(path)], mappings: 'AAAA' });
      const comment = `//# sourceMappingURL=data:application/json;base64,${Buffer.from(map).toString('base64')}`;
      return { contents: `${await readFile(path, 'utf8')}\n${comment}`, loader: 'js' };
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
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  // Models and errors are told apart by the names of their classes.
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
  // Packages in CommonJS `require` what Node provides.
  banner: {
    js: `import { createRequire as createBundleRequire } from 'node:module'; const require = createBundleRequire(import.meta.url);
${nameIt}`,
  },
  define: {
    __dirname: 'import.meta.dirname',
    // Node.js 20 has none yet. Without it pg loads all of `fetch` to find out whether this is Cloudflare.
    navigator: JSON.stringify({ userAgent: 'Node.js' }),
  },
  plugins: [withoutOtherDialects, packagesByFile],
  logLevel: 'warning',
  write: false,
});
for (const { path, text } of outputFiles) {
  if (path.endsWith('.js') && !(text.includes(nameAll) && text.includes('static{__name(this,')))
    throw new Error(`esbuild names functions in another way: see nameAll in bundle.mjs (${path})`);
  // As long as what they replace: the source map counts columns.
  const named = text
    .replace(nameAll, 'target=>target'.padEnd(nameAll.length))
    .replaceAll('static{__name(this,', 'static{nameIt(this,');
  await writeFile(path, named);
  if (text.startsWith('#!')) await chmod(path, 0o755);
}

// What the console reads from beside the code: its style sheets and script, and the runbook.
const copies = [
  ['api/console/assets', 'dist/api/console/assets'],
  ['docs/runbook.md', 'dist/api/console/runbook.md'],
];
for (const [from, to] of copies) if (existsSync(from)) await cp(from, to, { recursive: true });
