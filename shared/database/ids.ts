/** The largest id of a row: PostgreSQL's integer. */
export const MAX_ID = 2_147_483_647;

/** No number in it is too large for PostgreSQL's bigint. */
const ID = /^[1-9][0-9]{0,9}$/;

/** The id of a row in a text; undefined when it is none. */
export const readId = (text: string): number | undefined =>
  ID.test(text) && Number(text) <= MAX_ID ? Number(text) : undefined;

/** An SQL expression that reads the text of another one as the id of a row: null when it is none, where a cast would fail. */
export const idIn = (text: string): string =>
  `case when ${text} ~ '${ID.source}' then
     case when (${text})::bigint <= ${MAX_ID} then (${text})::int end end`;

/** A UUID in either case, as PostgreSQL and JavaScript both understand it. */
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** A UUID in lower case; undefined when the text is none. */
export const readUuid = (text: string): string | undefined =>
  UUID.test(text) ? text.toLowerCase() : undefined;

/** An SQL expression that reads the text of another one as a UUID: null when it is none, where a cast would fail. */
export const uuidIn = (text: string): string =>
  `case when ${text} ~* '${UUID.source}' then (${text})::uuid end`;
