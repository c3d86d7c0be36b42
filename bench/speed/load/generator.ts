import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { projectRoot } from '../../../dev/paths.js';
import type { LoadJob, LoadResult } from './load-job.js';

/** The load generator, in a process of its own. */
export interface Generator {
  /** Runs the jobs at the same time; resolves to their results. @throws if any of them fails. */
  run(...jobs: readonly [LoadJob, ...LoadJob[]]): Promise<readonly [LoadResult, ...LoadResult[]]>;
  close(): void;
}

type Answer = { readonly results: readonly LoadResult[] } | { readonly error: string };

/** Starts it on the CPUs of this process. */
export function startGenerator(): Generator {
  const child = fork(join(projectRoot, 'dist/bench/speed/programs/load-generator.js'), {
    serialization: 'advanced',
    // A Ctrl-C in the terminal must not reach it before its parent.
    detached: true,
  });
  const exited = new AbortController();
  child.once('exit', () => exited.abort(new Error('the load generator has exited')));
  return {
    async run(...jobs) {
      exited.signal.throwIfAborted();
      child.send(jobs);
      const [answer] = (await once(child, 'message', { signal: exited.signal })) as [Answer];
      if ('error' in answer) throw new Error(answer.error);
      return answer.results as never;
    },
    close: () => void child.kill('SIGKILL'),
  };
}
