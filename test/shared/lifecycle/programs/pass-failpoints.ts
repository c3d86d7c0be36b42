import { createFailpoint, failpointNames } from '../../../../shared/lifecycle/failpoint.js';

/** Passes all fail points in order and names each that it got past. */
const failpoint = createFailpoint(failpointNames.find((name) => name === process.argv[2]));
for (const name of failpointNames) {
  failpoint(name);
  process.stdout.write(`${name}\n`);
}
