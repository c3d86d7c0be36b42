import { coalesce } from '../../shared/database/coalesce.js';
import type { Statement, Statements } from '../../shared/database/statements.js';
import type { AccessClaims } from './access-tokens.js';

/** What a request with an access token reads. */
export interface SessionReadSpec<Asked> {
  readonly name: string;
  /** Columns to select, by their names in the result. */
  readonly columns?: string;
  /** Joins of the tables that they are in to `s`, the live session, and `asked`, the values of this request. */
  readonly joins?: string;
  /** The integers that vary, by their names in `asked`. */
  readonly values: Readonly<Record<string, (asked: Asked) => number>>;
  /** At most so many requests in one statement. */
  readonly atMost: number;
}

/**
 * Reads one row for a request, in one round trip with the check of its session: `undefined` when the session has ended or its
 * admin was deleted. Requests of one turn of the event loop share a statement.
 */
export type SessionRead<Asked, Row> = (
  claims: AccessClaims,
  asked: Asked,
) => Promise<Row | undefined>;

/** A row, with the session's newest generation whose access token has been presented; null without a live session. */
type Found<Row> = Row & { readonly usedGeneration: number | null };

/** @typeParam Row must have exactly the columns of the specification; nothing checks it. */
export function createSessionRead<Asked, Row>(
  statements: Statements,
  spec: SessionReadSpec<Asked>,
): SessionRead<Asked, Row> {
  const statement = statementOf(spec);
  const valuesOf = Object.values(spec.values);
  const find = coalesce<{ claims: AccessClaims; asked: Asked }, Found<Row>>(
    (all) =>
      statements.run<Found<Row>>(statement, [
        all.map(({ claims }) => claims.sessionId),
        all.map(({ claims }) => claims.adminId),
        ...valuesOf.map((valueOf) => all.map(({ asked }) => valueOf(asked))),
      ]),
    spec.atMost,
  );
  return async (claims, asked) => {
    const found = await find({ claims, asked });
    if (found.usedGeneration === null) return undefined;
    if (found.usedGeneration < claims.generation)
      await statements.run(MARK_USED, [claims.sessionId, claims.generation]);
    return found;
  };
}

/**
 * One row for each request, in the order in which they asked. A live session has neither ended nor expired. `limit 1` keeps the
 * planner from anything but a look-up by the primary key.
 */
function statementOf({ name, columns, joins = '', values }: SessionReadSpec<never>): Statement {
  const names = ['session_id', 'admin_id', ...Object.keys(values)];
  const arrays = names.map((_, i) => `$${i + 1}::int[]`).join(', ');
  return {
    name,
    text: `select s.used_generation as "usedGeneration"${columns === undefined ? '' : `, ${columns}`}
  from unnest(${arrays}) with ordinality as asked (${names.join(', ')}, place)
  left join lateral (select * from sessions where id = asked.session_id limit 1) s
    on s.admin_id = asked.admin_id and s.ended_at is null and s.expires_at > now()
  ${joins}
 order by asked.place`,
  };
}

/**
 * The first use of a generation's access token is recorded before the request is answered: it proves that the refresh token of
 * that generation has arrived, so the previous one is not accepted any more. Of concurrent first uses the newest is kept.
 */
const MARK_USED: Statement = {
  name: 'mark-generation-used',
  text: 'update sessions set used_generation = $2 where id = $1 and used_generation < $2',
};
