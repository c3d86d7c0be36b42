import type { Tier } from '../bundle.js';
import { packZip, unpackZip, type ArchiveFile } from '../zip.js';
import type { DeployFinding } from './finding.js';

/** applications-sourcebundle.html. */
const MAX_BYTES = 512 * 1_024 * 1_024;
const required: Readonly<Record<Tier, readonly string[]>> = {
  web: ['docker-compose.yml'],
  worker: ['docker-compose.yml', 'cron.yaml'],
};
/** What may be in a bundle; Elastic Beanstalk ignores a folder that it does not expect. */
const EXPECTED =
  /^(?:docker-compose\.yml|cron\.yaml|database-ca\.pem|\.ebextensions\/[^/]+\.config|\.platform\/(?:(?:hooks|confighooks)\/(?:prebuild|predeploy|postdeploy)|instance)\/[^/]+)$/;
const HOOK = /^\.platform\/(?:hooks|confighooks)\//;

/** What an instance gets. */
export async function checkBundle(
  tier: Tier,
  files: readonly ArchiveFile[],
): Promise<DeployFinding[]> {
  const bytes = await packZip(files);
  const again = await packZip(files.toReversed());
  const unpacked = await unpackZip(bytes);
  const findings = contents(tier, unpacked);
  if (!bytes.equals(again))
    findings.push({ where: 'bundle', problem: 'is not the same each time' });
  if (bytes.length > MAX_BYTES)
    findings.push({ where: 'bundle', problem: 'is larger than 512 MB' });
  return findings;
}

function contents(tier: Tier, files: readonly ArchiveFile[]): DeployFinding[] {
  const paths = files.map(({ path }) => path);
  const missing = required[tier]
    .filter((path) => !paths.includes(path))
    .map((path) => ({ where: path, problem: 'is missing' }));
  const foreign = paths
    .filter((path) => !EXPECTED.test(path))
    .map((path) => ({ where: path, problem: 'has no business in a bundle' }));
  const unmirrored = paths
    .filter((path) => path.startsWith('.platform/hooks/'))
    .map((path) => path.replace('/hooks/', '/confighooks/'))
    .filter((path) => !paths.includes(path))
    .map((path) => ({
      where: path,
      problem: 'is missing: configuration deployments run no other hooks',
    }));
  const hooks = files.filter(({ path }) => HOOK.test(path));
  const idle = hooks
    .filter(({ mode, data }) => (mode & 0o111) !== 0o111 || !data.toString().startsWith('#!'))
    .map(({ path }) => ({ where: path, problem: 'cannot be run' }));
  const carriageReturns = files
    .filter(({ path, data }) => !path.endsWith('.pem') && data.includes('\r'))
    .map(({ path }) => ({ where: path, problem: 'has carriage returns' }));
  return [...missing, ...foreign, ...unmirrored, ...idle, ...carriageReturns];
}
