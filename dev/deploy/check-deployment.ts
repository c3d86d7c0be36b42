import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { variables } from '../../shared/config/variables.js';
import { deadlines } from '../../shared/lifecycle/deadlines.js';
import { runTool } from '../checks/tool.js';
import { projectRoot } from '../paths.js';
import { bundleFiles, tiers, type Images, type Tier } from './bundle.js';
import { checkBundle } from './checks/bundle-contents.js';
import { checkCompose } from './checks/compose.js';
import { readConfiguration, type Configuration } from './checks/config-files.js';
import { checkCron } from './checks/cron.js';
import type { DeployFinding } from './checks/finding.js';
import { checkScripts } from './checks/hooks.js';
import { checkOptionPairs, checkOptions, type OptionSetting } from './checks/options.js';
import { checkResources } from './checks/resources.js';
import { checkScaling } from './checks/scaling.js';
import { checkWorkflows } from './checks/workflows.js';
import type { ArchiveFile } from './zip.js';

/** One kind of file that deployments are made of. */
export interface DeploymentCheck {
  readonly name: string;
  /** What is true if there are no findings. */
  readonly claim: string;
  run(): Promise<readonly DeployFinding[]>;
}

/** Any images will do to look at the rest. */
const images: Images = {
  api: `registry.test/rollcall-api@sha256:${'0'.repeat(64)}`,
  worker: `registry.test/rollcall-worker@sha256:${'1'.repeat(64)}`,
};
const POSTGRES_TIMEOUT_S = 15;
const times = {
  apiKeepAliveS: deadlines.api.keepAliveMs / 1_000,
  workerKeepAliveS: deadlines.worker.keepAliveMs / 1_000,
  longestRequestS: deadlines.api.requestMs / 1_000 + POSTGRES_TIMEOUT_S,
};
const stopSeconds: Readonly<Record<Tier, number>> = {
  web: deadlines.api.stopMs / 1_000,
  worker: deadlines.worker.stopMs / 1_000,
};

/** Everything that is deployed, as far as it can be checked without an account of AWS. */
export function deploymentChecks(root: string, signal: AbortSignal): readonly DeploymentCheck[] {
  return [...bundleChecks(root), ...treeChecks(root, signal)];
}

const filesOf = (root: string, tier: Tier): Promise<ArchiveFile[]> =>
  bundleFiles(tier, { root, images });

/** Of what is in the bundles, tier by tier. */
function bundleChecks(root: string): readonly DeploymentCheck[] {
  const perTier =
    (check: (tier: Tier, files: readonly ArchiveFile[]) => Promise<readonly DeployFinding[]>) =>
    async (): Promise<readonly DeployFinding[]> => {
      const found = await Promise.all(
        tiers.map(async (tier) => of(tier, await check(tier, await filesOf(root, tier)))),
      );
      return found.flat();
    };
  return [
    {
      name: 'options',
      claim: 'every option is known, with a value that it takes',
      run: perTier(async (tier, files) =>
        optionFindings(tier, readConfiguration(files), await exampleSettings(root, tier)),
      ),
    },
    {
      name: 'resources',
      claim: "over EB's own, they are as CloudFormation takes them",
      run: perTier((tier, files) => {
        const { resources, settings } = readConfiguration(files);
        return checkResources(tier, resources, settings);
      }),
    },
    {
      name: 'scaling',
      claim: 'the policy and the alarms read what workers publish',
      run: perTier(async (tier, files) =>
        checkScaling(readConfiguration(files), await exampleSettings(root, tier)),
      ),
    },
    {
      name: 'compose',
      claim: 'both compose files start the tier in order',
      run: perTier(async (tier, files) => composeFindings(tier, files)),
    },
    {
      name: 'bundles',
      claim: 'complete, small, the same bytes each time',
      run: perTier(checkBundle),
    },
  ];
}

/** Of files where they are in the tree. */
function treeChecks(root: string, signal: AbortSignal): readonly DeploymentCheck[] {
  const composeFiles = tiers.map((tier) => `deploy/${tier}/docker-compose.yml`);
  const cron = 'deploy/worker/cron.yaml';
  return [
    {
      name: 'containers',
      claim: 'Dockerfiles and compose files are well-formed',
      run: async () => [
        ...(await lint(['dclint', '--max-warnings', '0'], root, composeFiles, signal)),
        ...(await lint(['dockerfilelint'], root, ['Dockerfile.api', 'Dockerfile.worker'], signal)),
      ],
    },
    {
      name: 'hooks',
      claim: 'shellcheck finds nothing in any script',
      run: async () => checkScripts(root, await scriptsOf(root), signal),
    },
    {
      name: 'cron',
      claim: 'every scheduled task is one of the worker',
      run: async () => checkCron(cron, await readFile(join(root, cron), 'utf8')),
    },
    {
      name: 'workflows',
      claim: 'valid, linted, each action pinned',
      run: () => checkWorkflows(root),
    },
  ];
}

const of = (tier: Tier, findings: readonly DeployFinding[]): DeployFinding[] =>
  findings.map(({ where, problem }) => ({ where: `${tier} ${where}`, problem }));

function optionFindings(
  tier: Tier,
  { findings, settings }: Configuration,
  examples: readonly OptionSetting[],
): DeployFinding[] {
  const all = [...settings, ...examples];
  return [...findings, ...checkOptions(tier, all), ...checkOptionPairs(settings, times)];
}

/** The options that an account adds: `--option-settings file://...` of the AWS CLI. */
async function exampleSettings(root: string, tier: Tier): Promise<OptionSetting[]> {
  const where = `deploy/${tier}/options.example.json`;
  const entries = JSON.parse(await readFile(join(root, where), 'utf8')) as readonly {
    readonly Namespace: string;
    readonly OptionName: string;
    readonly Value: unknown;
  }[];
  return entries.map(({ Namespace, OptionName, Value }) => ({
    where,
    namespace: Namespace,
    name: OptionName,
    value: Value,
  }));
}

function composeFindings(tier: Tier, files: readonly ArchiveFile[]): DeployFinding[] {
  const textOf = (path: string): string =>
    files.find((file) => file.path === path)?.data.toString() ?? '';
  const where = 'docker-compose.yml';
  const scripts = files.filter(({ path }) => path.startsWith('.platform/hooks/prebuild/'));
  const findings = checkCompose(tier, textOf(where), {
    where,
    stopSeconds: stopSeconds[tier],
    madeFolders: scripts.flatMap(({ data }) =>
      [...data.toString().matchAll(/^mkdir -p (.+)$/gm)].flatMap(([, folders = '']) =>
        folders.split(' '),
      ),
    ),
    files: files.map(({ path }) => path),
  });
  const unknown = [...textOf(where).matchAll(/^ {6}([A-Z][A-Z0-9_]*):/gm)]
    .map(([, name = '']) => name)
    .filter((name) => !(name in variables));
  return [
    ...findings,
    ...unknown.map((name) => ({ where, problem: `Rollcall reads no variable ${name}` })),
  ];
}

/** The scripts of all bundles where they are in the tree. */
async function scriptsOf(root: string): Promise<string[]> {
  const found = new Set<string>();
  for (const tier of tiers) {
    for (const { path } of await filesOf(root, tier)) {
      const inner = /^\.platform\/(?!confighooks)(.+\.sh)$/.exec(path)?.[1];
      if (inner === undefined) continue;
      for (const place of ['common', tier].map((part) => `.platform/${part}/${inner}`))
        if (existsSync(join(root, place))) found.add(place);
    }
  }
  return [...found];
}

async function lint(
  command: readonly string[],
  root: string,
  files: readonly string[],
  signal: AbortSignal,
): Promise<DeployFinding[]> {
  const [tool = '', ...args] = command;
  const program = join(projectRoot, 'node_modules/.bin', tool);
  const { succeeded, output } = await runTool(
    [program, ...args, ...files.map((file) => join(root, file))],
    { signal },
  );
  return succeeded ? [] : [{ where: tool, problem: output.trim() }];
}
