import { add, nothing, report, tell } from '../checks/tally.js';
import { runTool } from '../checks/tool.js';
import { listenForStop } from '../command-line.js';
import { deploymentChecks, type DeploymentCheck } from '../deploy/check-deployment.js';
import { describe } from '../deploy/checks/finding.js';
import { projectRoot } from '../paths.js';

// `npm run check:deploy`: all that is deployed, as far as it can be checked without an account.

const signal = listenForStop();
/** A package of its own, which takes 250 MB: installed when it is missing, and tested by its own tests alone. */
const templates: DeploymentCheck = {
  name: 'templates',
  claim: 'the environments synthesize, nothing is unexplained',
  async run() {
    const command = ['npm', 'run', '--silent', 'check:infra'];
    const { succeeded, output } = await runTool(command, { signal });
    return succeeded ? [] : [{ where: 'npm run check:infra', problem: output.trim() }];
  },
};

let tally = nothing;
for (const { name, claim, run } of [...deploymentChecks(projectRoot, signal), templates]) {
  const startedAt = performance.now();
  const findings = await run().catch((error: unknown) => [{ where: name, problem: String(error) }]);
  const check = { name, startedAt };
  tally = add(
    tally,
    report(findings.length === 0 ? { ...check, claim } : { ...check, fault: describe(findings) }),
  );
}
tell(tally);
