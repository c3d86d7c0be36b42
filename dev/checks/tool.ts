import { spawn } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';
import { readDevEnv } from '../env.js';
import { projectRoot } from '../paths.js';

/** How a program ended, and all that it wrote, without colours: under CI some tools can't be talked out of them. */
export interface ToolResult {
  readonly succeeded: boolean;
  readonly output: string;
}

/** Runs a program in the project's root. It never rejects: a program that cannot be started has not succeeded. */
export function runTool(
  [program = '', ...args]: readonly string[],
  options: { signal: AbortSignal; env?: Readonly<Record<string, string>> },
): Promise<ToolResult> {
  const child = spawn(program, args, {
    cwd: projectRoot,
    env: { ...readDevEnv().inherited, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: options.signal,
  });
  let output = '';
  const collect = (chunk: Buffer) => (output += chunk.toString());
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  return new Promise((resolve) => {
    child.once('error', (error) =>
      resolve({ succeeded: false, output: `${output}${error.message}\n` }),
    );
    child.once('close', (code) =>
      resolve({ succeeded: code === 0, output: stripVTControlCharacters(output) }),
    );
  });
}
