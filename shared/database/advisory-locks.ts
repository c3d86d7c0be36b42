/**
 * Every advisory lock of the database, by the task that only one process may run at a time. The numbers are arbitrary and
 * must not change: during a rolling deployment both releases use them. In a file of its own, so that the migrations can
 * use it without loading the models.
 */
export const advisoryLocks = {
  migrate: 7_255_011_947,
  rotateAudit: 7_255_011_948,
  sweep: 7_255_011_949,
} as const;
