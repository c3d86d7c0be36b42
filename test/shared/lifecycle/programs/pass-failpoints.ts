import { createFailpoint } from '../../../../shared/lifecycle/failpoint.js';

/** Passes the fail points of a hand-over in order and names each that it got past. */
const failpoint = createFailpoint(process.argv[2]);
for (const name of ['after-commit', 'after-add'] as const) {
  failpoint(name);
  process.stdout.write(`${name}\n`);
}
