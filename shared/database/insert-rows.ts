import type { Statement } from './statements.js';

/** A table, and those of its columns that an insert gives a value; the others get their default. */
export interface RowShape<Column extends string = string> {
  readonly table: string;
  readonly columns: readonly Column[];
  /** SQL that makes a column's value from its parameter. */
  readonly expressions?: Partial<Readonly<Record<Column, (parameter: string) => string>>>;
}

/**
 * A statement that inserts one row of each shape: all of them or none, in one round trip. Its values are those of the rows, one
 * row after another.
 * @param before common table expressions to run with it, in SQL; they may use the same parameters.
 */
export function insertRows(
  name: string,
  shapes: readonly RowShape[],
  before: readonly string[] = [],
): Statement {
  let parameters = 0;
  const inserts = shapes.map(({ table, columns, expressions }) => {
    const values = columns.map((column) => {
      const parameter = `$${(parameters += 1)}`;
      return expressions?.[column]?.(parameter) ?? parameter;
    });
    return `insert into ${table} (${columns.join(', ')}) values (${values.join(', ')})`;
  });
  const last = inserts.pop() ?? '';
  const expressions = [...before, ...inserts.map((insert, i) => `row${i} as (${insert})`)];
  return {
    name,
    text: `${expressions.length > 0 ? `with ${expressions.join(',\n')}\n` : ''}${last}`,
  };
}

/** The values of a row, in the order of its shape. */
export const valuesOf = <Column extends string>(
  { columns }: RowShape<Column>,
  row: Readonly<Record<Column, unknown>>,
): unknown[] => columns.map((column) => row[column]);
