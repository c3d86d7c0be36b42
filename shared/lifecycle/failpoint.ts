/**
 * Fail points: where a crash test can kill the process, each between two effects that a crash can separate:
 * - `after-commit`: the request's rows are committed, no job exists
 * - `after-add`: the job is in Redis, its outbox row is still pending
 * - `after-250`: the mail server has accepted the mail, the database has not recorded it
 * - `after-marker`: the database has recorded it, the job is not finished
 */
export const failpointNames = ['after-commit', 'after-add', 'after-250', 'after-marker'] as const;

export type FailpointName = (typeof failpointNames)[number];

/** Kills the process with SIGKILL if this fail point is armed; otherwise does nothing. */
export type Failpoint = (name: FailpointName) => void;

/** @param armed from the configuration, which refuses it in production. */
export function createFailpoint(armed: FailpointName | undefined): Failpoint {
  return (name) => {
    if (name === armed) process.kill(process.pid, 'SIGKILL');
  };
}
