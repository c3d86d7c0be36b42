/** SQL that is true for the rows that fit, and the values that it binds. */
export interface Condition {
  readonly sql: string;
  readonly bind: Readonly<Record<string, unknown>>;
}

/** A condition that binds one value under a name; undefined without a value. */
export const when = (name: string, value: unknown, sql: string): Condition | undefined =>
  value === undefined ? undefined : { sql, bind: { [name]: value } };

/** All of the conditions that there are; true without any. */
export function allOf(conditions: readonly (Condition | undefined)[]): Condition {
  const given = conditions.filter((condition) => condition !== undefined);
  return {
    sql: given.map(({ sql }) => `(${sql})`).join(' and ') || 'true',
    bind: Object.assign({}, ...given.map(({ bind }) => bind)) as Record<string, unknown>,
  };
}
