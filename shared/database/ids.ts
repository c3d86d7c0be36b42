/** The largest id of a row: PostgreSQL's integer. */
export const MAX_ID = 2_147_483_647;

/** A UUID in either case, as PostgreSQL and JavaScript both understand it. */
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** A UUID in lower case; undefined when the text is none. */
export const readUuid = (text: string): string | undefined =>
  UUID.test(text) ? text.toLowerCase() : undefined;

/** An SQL expression that reads the text of another one as a UUID: null when it is none, where a cast would fail. */
export const uuidIn = (text: string): string =>
  `case when ${text} ~* '${UUID.source}' then (${text})::uuid end`;
