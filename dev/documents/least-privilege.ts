import { apiRights, workerRights, type Rights } from '../../shared/database/rights.js';
import { queueNames, queuePrefix } from '../../shared/queues/registry.js';

/**
 * The grants that the API's role in PostgreSQL needs. Run by the role that migrates, which owns the tables, and again after a
 * migration that adds one.
 */
export const apiGrants = (role: string): readonly string[] => [
  `grant usage on schema public to ${role}`,
  ...grantsOf(apiRights, role),
  `grant usage on all sequences in schema public to ${role}`,
];

/** The grants that the worker's role needs. */
export const workerGrants = (role: string): readonly string[] => [
  `grant usage on schema public to ${role}`,
  ...grantsOf(workerRights, role),
  `grant usage on sequence deliveries_id_seq to ${role}`,
  `grant execute on function ${workerRights.functions.join(', ')} to ${role}`,
];

const grantsOf = ({ tables }: Rights, role: string): readonly string[] =>
  tables.map(({ on, ...privileges }) => {
    const granted = Object.entries(privileges).map(([privilege, columns]) =>
      typeof columns === 'string' ? privilege : `${privilege} (${columns.join(', ')})`,
    );
    return `grant ${granted.join(', ')} on ${on.join(', ')} to ${role}`;
  });

/** The ACL rules of the Redis user (`ACL SETUSER NAME on >PASSWORD …`): our keys only, and no administration. */
export const redisRules: readonly string[] = [
  ...queueNames.map((name) => `~${queuePrefix(name)}:*`),
  '~{throttle}:*',
  '+@all',
  '-@admin',
  '-@dangerous',
  '+info',
];
