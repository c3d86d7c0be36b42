/**
 * Places at which a crash test may kill the process. Each is a moment between two effects that a crash can part:
 * - `after-commit`: the request's rows are committed, no job exists
 * - `after-add`: the job is in Redis, its outbox row does not know
 * - `after-250`: the mail server has taken the mail, the database does not know
 * - `after-marker`: the database knows, the job is not finished
 */
export const failpointNames = ['after-commit', 'after-add', 'after-250', 'after-marker'] as const;

/** The name of one of these places. */
export type FailpointName = (typeof failpointNames)[number];

/** Kills the process with SIGKILL if it was told to die here; else does nothing. */
export type Failpoint = (name: FailpointName) => void;

/** @param armed the name from the configuration, which refuses one in production. */
export function createFailpoint(armed: FailpointName | undefined): Failpoint {
  return (name) => {
    if (name === armed) process.kill(process.pid, 'SIGKILL');
  };
}
