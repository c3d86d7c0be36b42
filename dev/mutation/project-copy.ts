import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { runTool } from '../checks/tool.js';
import { projectRoot } from '../paths.js';
import { mutated, type Mutant } from './mutants.js';

/** A copy of the project whose files may be changed. */
export interface ProjectCopy {
  readonly root: string;
  read(file: string): Promise<string>;
  /** Applies the mutant, runs `work`, and restores the file. */
  withMutant<T>(mutant: Mutant, work: () => Promise<T>): Promise<T>;
}

/** Copies the files that git tracks or could track, and dist/; node_modules is linked. */
export async function copyProject(root: string, signal: AbortSignal): Promise<ProjectCopy> {
  await rm(root, { recursive: true, force: true });
  await mkdir(root, { recursive: true });
  const { succeeded, output } = await runTool(
    ['git', 'ls-files', '--cached', '--others', '--exclude-standard'],
    { signal },
  );
  if (!succeeded) throw new Error(`the files of the project cannot be listed:\n${output}`);
  for (const file of output.split('\n').filter(Boolean)) {
    await mkdir(join(root, dirname(file)), { recursive: true });
    await cp(join(projectRoot, file), join(root, file));
  }
  await cp(join(projectRoot, 'dist'), join(root, 'dist'), { recursive: true });
  await symlink(join(projectRoot, 'node_modules'), join(root, 'node_modules'));
  const read = (file: string): Promise<string> => readFile(join(root, file), 'utf8');
  return {
    root,
    read,
    async withMutant(mutant, work) {
      const source = await read(mutant.file);
      await writeFile(join(root, mutant.file), mutated(source, mutant));
      try {
        return await work();
      } finally {
        await writeFile(join(root, mutant.file), source);
      }
    },
  };
}
