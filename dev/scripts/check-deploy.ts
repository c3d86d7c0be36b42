import { add, nothing, report, tell } from '../checks/tally.js';
import { listenForStop } from '../command-line.js';
import { deploymentChecks } from '../deploy/check-deployment.js';
import { describe } from '../deploy/checks/finding.js';
import { projectRoot } from '../paths.js';

// `npm run check:deploy`: all that is deployed, as far as it can be checked without an account.

let tally = nothing;
for (const { name, claim, run } of deploymentChecks(projectRoot, listenForStop())) {
  const startedAt = performance.now();
  const findings = await run().catch((error: unknown) => [{ where: name, problem: String(error) }]);
  const check = { name, startedAt };
  tally = add(
    tally,
    report(findings.length === 0 ? { ...check, claim } : { ...check, fault: describe(findings) }),
  );
}
tell(tally);
