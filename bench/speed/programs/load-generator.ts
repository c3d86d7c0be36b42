import type { LoadJob } from '../load/load-job.js';
import { runLoad } from '../load/run-load.js';

// The load generator: a process of its own, so that it can be kept off the measured core. Its parent sends lists of jobs, which
// run at the same time, and gets the list of results or an error.

process.on('message', (jobs: readonly LoadJob[]) => {
  Promise.all(jobs.map(runLoad)).then(
    (results) => process.send?.({ results }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit());
