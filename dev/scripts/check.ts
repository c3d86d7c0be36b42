import { runTests } from '../checks/run-tests.js';
import { checkChangedFiles, runStaticChecks } from '../checks/static-checks.js';
import { add, tell } from '../checks/tally.js';
import { listenForStop } from '../command-line.js';

// `npm test` and `npm run check`: everything that continuous integration checks, each check and each test counted.
// With file names (`npm test -- test/contract/images.test.ts`) only those tests, and the form of what has changed.

const files = process.argv.slice(2);
const signal = listenForStop();
const staticChecks =
  files.length === 0 ? runStaticChecks(signal) : checkChangedFiles(files, signal);
// Of everything, the tests want the machine to themselves; of a few, nobody wants to wait.
const after = files.length === 0 ? staticChecks : Promise.resolve();
tell((await Promise.all([staticChecks, runTests({ files, signal, after })])).reduce(add));
