import type { InferAttributes } from 'sequelize';
import { groupCommit } from '../../shared/database/group-commit.js';
import type { Statement, Statements } from '../../shared/database/statements.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import type { User } from '../../shared/models/index.js';
import { createSessionRead, type SessionRead } from '../sessions/session-read.js';

/** What clients say of a user beside the address: each attribute of the model that is not named here. */
type UserFields = Omit<
  InferAttributes<User>,
  | 'id'
  | 'adminId'
  | 'email'
  | 'emailCanonical'
  | 'createdAt'
  | 'updatedAt'
  // Of sequelize-typescript, for models that have them.
  | 'deletedAt'
  | 'version'
>;

/** What clients say of a new user. */
export type NewUser = Partial<UserFields> & { readonly email: EmailAddress };

/** How PostgreSQL keeps a field of a user, and writes it as JSON. */
interface Field {
  readonly type: string;
  /** Of the user `u`. */
  readonly json: string;
  /** What a new user has that comes without it; otherwise null. */
  readonly otherwise?: string;
}

/** Each field has a column of its name. */
const FIELDS: { readonly [Name in keyof UserFields]: Field } = {
  name: { type: 'text', json: "coalesce(to_json(u.name)::text, 'null')" },
  active: { type: 'bool', json: 'u.active', otherwise: 'true' },
};

const FIELD_NAMES = Object.keys(FIELDS) as readonly (keyof typeof FIELDS)[];
const COLUMNS = FIELD_NAMES.join(', ');

/**
 * A user `u` as the API shows it: the text of `userView` in users.schemas.ts, made by PostgreSQL. Written out, since
 * `row_to_json` takes twice as long.
 */
const USER_JSON = [
  `'{"id":' || u.id || ',"email":' || to_json(u.email)`,
  ...FIELD_NAMES.map((name) => `|| ',"${name}":' || ${FIELDS[name].json}`),
  `|| ',"created_at":' || ${timeText('u.created_at')}`,
  `|| ',"updated_at":' || ${timeText('u.updated_at')} || '}'`,
].join(' ');

/**
 * As JavaScript's `toISOString`, in quotes. `to_json` leaves out zeros at the end, therefore the microsecond: it makes all six
 * digits appear, of which three are kept. `to_char` takes half as long again.
 */
function timeText(column: string): string {
  return `left(to_json(${column} at time zone 'UTC' + interval '1 microsecond')::text, 24) || 'Z"'`;
}

/** A page of users. */
export interface UserPage {
  /** A JSON array. */
  readonly json: string;
  readonly lastId: number | null;
  readonly hasMore: boolean;
}

/** At most `limit` users with ids greater than `after`. */
export interface WhichPage {
  readonly limit: number;
  readonly after: number;
}

/** Reads of an admin's users, each in one round trip with the check of the session. */
export interface UserReads {
  /** A user as JSON; null when the admin has none of this id. */
  readonly user: SessionRead<{ readonly id: number }, { readonly json: string | null }>;
  /** A page, oldest first. As fast on the last page as on the first. */
  readonly page: SessionRead<WhichPage, UserPage>;
}

/** @param maxLimit the longest page. */
export const createUserReads = (statements: Statements, maxLimit: number): UserReads => ({
  user: createSessionRead(statements, {
    name: 'read-user',
    columns: `case when u.id is not null then ${USER_JSON} end as json`,
    joins: `left join lateral (select * from users where id = asked.user_id limit 1) u
    on u.admin_id = s.admin_id`,
    values: { user_id: ({ id }) => id },
    atMost: 100,
  }),
  page: createSessionRead(statements, {
    name: 'read-user-page',
    columns: `'[' || array_to_string(page.shown[1:asked.page_size], ',') || ']' as json,
       page.ids[least(asked.page_size, cardinality(page.ids))] as "lastId", cardinality(page.ids) > asked.page_size as "hasMore"`,
    // One row more than the page tells whether there is another. The rows are compared whole, and their number has a constant
    // bound, so that the planner reads them in the order of the index (admin_id, id), whoever has how many users.
    joins: `left join lateral (
    select coalesce(array_agg(${USER_JSON}), '{}') as shown, coalesce(array_agg(u.id), '{}') as ids
      from (
        select * from (
            select id, email, ${COLUMNS}, created_at, updated_at from users
             where (admin_id, id) > (s.admin_id, asked.after) and admin_id <= s.admin_id
             order by admin_id, id limit ${maxLimit + 1}
          ) own
         limit asked.page_size + 1
      ) u
  ) page on true`,
    values: { after: ({ after }) => after, page_size: ({ limit }) => limit },
    // A page costs PostgreSQL a hundred times as much as one user.
    atMost: 4,
  }),
});

/** A user as the API shows it, and its id. */
export interface CreatedUser {
  readonly id: number;
  readonly json: string;
}

/**
 * Creates a user of an admin; resolves to `undefined` when the admin has one with the address.
 * @throws the server's error, for a foreign key too.
 */
export type InsertUser = (
  user: NewUser & { readonly adminId: number },
) => Promise<CreatedUser | undefined>;

/** Concurrent requests share an insert, and so wait for one commit. */
export const createInsertUser = (statements: Statements): InsertUser =>
  groupCommit(
    ({ adminId, email }) => `${adminId} ${email.canonical}`,
    async (all) => {
      const rows = await statements.run<CreatedUser & { readonly key: string }>(INSERT_USERS, [
        all.map(({ adminId }) => adminId),
        all.map(({ email }) => email.address),
        all.map(({ email }) => email.canonical),
        ...FIELD_NAMES.map((name) => all.map((user) => user[name])),
      ]);
      return new Map(rows.map((row) => [row.key, row]));
    },
  );

const INSERT_USERS: Statement = {
  name: 'insert-users',
  text: `insert into users as u (admin_id, email, email_canonical, ${COLUMNS}, created_at, updated_at)
select admin_id, email, email_canonical, ${FIELD_NAMES.map(valueOf).join(', ')}, date_trunc('milliseconds', now()), date_trunc('milliseconds', now())
  from unnest($1::int[], $2::text[], $3::text[], ${FIELD_NAMES.map((name, i) => `$${i + 4}::${FIELDS[name].type}[]`).join(', ')})
    as asked (admin_id, email, email_canonical, ${COLUMNS})
    on conflict on constraint users_admin_email_key do nothing
returning u.id, u.admin_id || ' ' || u.email_canonical as key, ${USER_JSON} as json`,
};

function valueOf(name: keyof typeof FIELDS): string {
  const { otherwise } = FIELDS[name];
  return otherwise === undefined ? name : `coalesce(${name}, ${otherwise})`;
}
