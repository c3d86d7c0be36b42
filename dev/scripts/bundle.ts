import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { runTool } from '../checks/tool.js';
import { listenForStop, readOptions } from '../command-line.js';
import { bundleFiles, isPinned, tiers, type Images } from '../deploy/bundle.js';
import { packZip } from '../deploy/zip.js';
import { projectRoot } from '../paths.js';

// `npm run bundle`: the source bundles of both tiers for Elastic Beanstalk.

const USAGE = `usage: npm run bundle -- [--api IMAGE@sha256:DIGEST --worker IMAGE@sha256:DIGEST] [--database-ca FILE]
                        [--commit SHA] [--out FOLDER]

Writes dist/eb/web-SHA.zip and dist/eb/worker-SHA.zip. The same commit and the same options give the same bytes.

  --api, --worker   the images that instances pull, by digest; without them the bundles name local tags of the commit,
                    which no instance has: for looking at, and for tests
  --database-ca     PEM file with the authority of the database's certificate, for RDS its global bundle
  --commit          the commit, where there is no git
  --out             where to write; dist/eb unless given`;

process.exitCode = await main(process.argv.slice(2), listenForStop());

async function main(args: string[], signal: AbortSignal): Promise<number> {
  const options = readOptions(USAGE, {
    args,
    options: {
      api: { type: 'string' },
      worker: { type: 'string' },
      'database-ca': { type: 'string' },
      commit: { type: 'string' },
      out: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (!options) return 64;
  const { values } = options;
  if (values.help === true) {
    console.log(USAGE);
    return 0;
  }
  const commit = values.commit ?? (await currentCommit(signal));
  if (commit === undefined || !/^[0-9a-f]{7,40}(-modified)?$/.test(commit))
    return refuse('The commit is unknown here: give it by --commit.');
  const given = [values.api, values.worker].filter((image) => image !== undefined);
  if (given.length === 1) return refuse('Give both images or none.');
  if (!given.every(isPinned))
    return refuse(
      'Images are given by digest, as NAME@sha256:..., so that a bundle always runs the same.',
    );
  const images: Images = {
    api: values.api ?? `rollcall-api:${commit}`,
    worker: values.worker ?? `rollcall-worker:${commit}`,
  };
  const caFile = values['database-ca'];
  const databaseCa = caFile === undefined ? undefined : await readFile(resolve(caFile));
  await write(commit, resolve(projectRoot, values.out ?? 'dist/eb'), images, databaseCa);
  if (given.length === 0)
    console.log(
      `No images were given: the bundles name ${images.api} and ${images.worker}, which only this machine may have.`,
    );
  if (databaseCa === undefined)
    console.log(
      'No --database-ca was given: PostgreSQL needs a certificate that Node knows, or POSTGRES_CA_FILE.',
    );
  return 0;
}

async function write(
  commit: string,
  out: string,
  images: Images,
  databaseCa?: Buffer,
): Promise<void> {
  await mkdir(out, { recursive: true });
  for (const tier of tiers) {
    const files = await bundleFiles(tier, { root: projectRoot, images, databaseCa });
    const bytes = await packZip(files);
    const path = join(out, `${tier}-${commit}.zip`);
    await writeFile(path, bytes);
    const digest = createHash('sha256').update(bytes).digest('hex');
    console.log(
      `${relative(projectRoot, path)}  ${files.length} files, ${bytes.length} bytes, sha256 ${digest}`,
    );
  }
}

function refuse(problem: string): number {
  console.error(`${problem}\n\n${USAGE}`);
  return 64;
}

/** The checked-out commit, marked if what goes into a bundle is not as committed; undefined without git. */
async function currentCommit(signal: AbortSignal): Promise<string | undefined> {
  const head = await runTool(['git', 'rev-parse', 'HEAD'], { signal });
  if (!head.succeeded) return undefined;
  const parts = ['.ebextensions', '.platform', 'deploy', 'dev/deploy'];
  const changes = await runTool(['git', 'status', '--porcelain', '--', ...parts], { signal });
  return `${head.output.trim()}${changes.output.trim() === '' ? '' : '-modified'}`;
}
