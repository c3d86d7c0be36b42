import { literal } from 'sequelize';

/**
 * When the transaction began, by PostgreSQL's clock. What is stored and compared uses this one clock, because the hosts' clocks
 * differ. To the millisecond, as a `Date` is.
 */
export const NOW = literal(`date_trunc('milliseconds', now())`);

/** In SQL: so many milliseconds from now by PostgreSQL's clock. */
export const msFromNow = (ms: string): string => `now() + ${ms}::float8 * interval '1 millisecond'`;
