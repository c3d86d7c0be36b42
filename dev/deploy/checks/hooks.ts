import { join } from 'node:path';
import { runTool } from '../../checks/tool.js';
import { projectRoot } from '../../paths.js';
import {
  findServerProgram,
  versionOf,
  type ServerProgram,
} from '../../stack/processes/server-program.js';
import type { DeployFinding } from './finding.js';

/** Scripts of a folder, by shellcheck, which is installed if it is missing. */
export async function checkScripts(
  root: string,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<DeployFinding[]> {
  if (paths.length === 0) return [{ where: '.platform', problem: 'there are no scripts' }];
  const { path: program, env } = await findShellcheck(signal);
  const files = paths.map((path) => join(root, path));
  const { succeeded, output } = await runTool(
    [program, '--format=gcc', '--severity=style', ...files],
    { signal, env },
  );
  if (succeeded) return [];
  return output
    .trim()
    .split('\n')
    .map((line) => ({ where: 'shellcheck', problem: line.replace(`${root}/`, '') }));
}

const findShellcheck = (signal: AbortSignal): Promise<ServerProgram> =>
  findServerProgram(
    {
      names: ['shellcheck'],
      packageName: 'shellcheck',
      companions: [],
      unpackDir: join(projectRoot, '.local', 'shellcheck'),
      faultOf: (program) =>
        versionOf(program).then(
          (text) =>
            text.startsWith('ShellCheck') ? undefined : `${program.path} is no shellcheck`,
          () => `${program.path} does not run`,
        ),
      advice: [
        'The hooks are checked by shellcheck, which is not here. Install it:',
        '  apt-get install shellcheck    or    brew install shellcheck',
      ],
    },
    { signal, onProgress: (line) => process.stderr.write(`${line}\n`) },
  );
