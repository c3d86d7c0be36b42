import { runStaticChecks } from '../checks/static-checks.js';
import { tell } from '../checks/tally.js';
import { listenForStop } from '../command-line.js';

// `npm run verify`: every check of `npm test` that starts nothing.

tell(await runStaticChecks(listenForStop()));
