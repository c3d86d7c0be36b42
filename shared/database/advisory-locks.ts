/**
 * Every advisory lock that is taken in the database, by what only one may do at a time. The numbers mean nothing and stay
 * as they are: while a release is rolled out, both versions must meet at the same ones.
 */
export const advisoryLocks = {
  migrate: 7_255_011_947,
  rotateAudit: 7_255_011_948,
  sweep: 7_255_011_949,
} as const;
