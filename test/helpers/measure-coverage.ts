import { mkdirSync, writeFileSync } from 'node:fs';
import { Session, type Profiler } from 'node:inspector';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import test from 'ava';
import { projectRoot } from '../../dev/paths.js';

// Loaded before each test file. With COVERAGE_DIR it writes there what the file runs of the product, for c8: Node's own
// NODE_V8_COVERAGE would write, and c8 read, all of node_modules for every process.

/**
 * The tests of parts and of flows without faults, and what shares a process with them: the others are about what happens, not
 * about which lines run.
 */
const MEASURED = /^dist\/groups\/|^test\/(?:contract|shared|workers|flows\/(?!faults\/))/;
const PRODUCT = ['api', 'workers', 'shared'].map(
  (folder) => `${pathToFileURL(join(projectRoot, 'dist', folder)).href}/`,
);

const dir = process.env['COVERAGE_DIR'];
const file = relative(projectRoot, fileURLToPath(test.meta.file)).replace(/^dist\/test/, 'test');
if (dir !== undefined && MEASURED.test(file)) measure(dir);

function measure(folder: string): void {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  // Whether something ran, not how often: counting keeps V8 from optimizing.
  session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: true });
  process.once('exit', () => {
    session.post('Profiler.takePreciseCoverage', (error, coverage) => {
      if (error) throw error;
      mkdirSync(folder, { recursive: true });
      const result = coverage.result.filter(isProduct);
      writeFileSync(join(folder, `coverage-${process.pid}.json`), JSON.stringify({ result }));
    });
  });
}

const isProduct = ({ url }: Profiler.ScriptCoverage): boolean =>
  PRODUCT.some((folder) => url.startsWith(folder));
