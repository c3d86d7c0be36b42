import jwt from 'jsonwebtoken';
import pg from 'pg';
import { createCursors } from '../../api/http/input/pagination.js';
import { accessTokenConfig, issueAccessToken } from '../../api/sessions/access-tokens.js';
import { deriveKeyRing, type Secrets } from '../../shared/crypto/keys.js';

/** How much data there is. */
export interface DatasetSize {
  readonly admins: number;
  readonly usersPerAdmin: number;
  /** Users of one further admin, whose listing is long. */
  readonly listing: number;
}

/** The rows of the database, and what a client needs to ask for them. */
export interface Dataset {
  readonly size: DatasetSize;
  /** Users of many admins, in random order. */
  readonly users: readonly { readonly id: number; readonly adminId: number }[];
  /** Such users with a full page of 50 behind them. */
  readonly pageStarts: readonly { readonly id: number; readonly adminId: number }[];
  readonly adminIds: readonly number[];
  /** The admin with the long listing. */
  readonly lister: number;
  /** An access token of this admin's session, signed now. */
  tokenOf(adminId: number): string;
  /** The same for the baseline that verifies tokens in the usual way. */
  usualTokenOf(adminId: number): string;
  /** The cursor behind a user in the admin's listing. */
  cursorAt(adminId: number, userId: number): string;
  /** The last user on a page of the long listing; pages count from 1. */
  lastOnPage(page: number, rows: number): Promise<number>;
  close(): Promise<void>;
}

const MAX_REQUESTED_USERS = 20_000;
export const PAGE_ROWS = 50;
/** The baseline's secret is a string, as usual. */
export const USUAL_SECRET = 'the secret of a baseline on loopback';
const ACCESS_TOKEN_MS = 15 * 60_000;

/** Inserts admins, each with a session and users, by SQL, since creating them over HTTP would take hours. */
export async function createDataset(
  postgresUrl: string,
  size: DatasetSize,
  { publicUrl, secretKey }: { publicUrl: string; secretKey: string },
): Promise<Dataset> {
  const client = new pg.Client({ connectionString: postgresUrl });
  await client.connect();
  const sessions = await insertAdmins(client, size.admins + 1);
  const [lister = 0, ...adminIds] = sessions.keys();
  await client.query(INSERT_USERS, [adminIds, size.usersPerAdmin]);
  await client.query(INSERT_USERS, [[lister], size.listing]);
  await client.query('vacuum analyze');
  await client.query('checkpoint');
  const users = await chooseUsers(client, lister, size.usersPerAdmin);
  const pageStarts = await chooseUsers(client, lister, size.usersPerAdmin - PAGE_ROWS);
  const secrets: Secrets = { current: secretKey, previous: [] };
  const tokens = accessTokenConfig(
    deriveKeyRing(secrets, 'access-token'),
    publicUrl,
    ACCESS_TOKEN_MS,
  );
  const cursors = createCursors(deriveKeyRing(secrets, 'cursor'), publicUrl);
  return {
    size,
    users,
    pageStarts,
    adminIds,
    lister,
    tokenOf: (adminId) =>
      issueAccessToken(tokens, {
        adminId,
        sessionId: sessions.get(adminId) ?? 0,
        generation: 0,
      }),
    usualTokenOf: (adminId) =>
      jwt.sign({ sub: String(adminId) }, USUAL_SECRET, { expiresIn: '1h' }),
    cursorAt: (adminId, userId) => cursors.encode(`users:${adminId}`, userId),
    lastOnPage: (page, rows) => lastOnPage(client, lister, page * rows),
    close: () => client.end(),
  };
}

/** Resolves to the id of each admin's session by the admin's id. */
async function insertAdmins(client: pg.Client, count: number): Promise<Map<number, number>> {
  const { rows } = await client.query<{ adminId: number; id: number }>(INSERT_ADMINS, [count]);
  return new Map(rows.map(({ adminId, id }) => [adminId, id]));
}

/** Users of all admins but one, of each admin the first `count`, in random order. */
async function chooseUsers(
  client: pg.Client,
  lister: number,
  count: number,
): Promise<{ id: number; adminId: number }[]> {
  const { rows } = await client.query<{ id: number; adminId: number }>(
    `select id, admin_id as "adminId" from users
      where admin_id <> $1 and substr(name, length('User number ') + 1)::integer <= $2
      order by random() limit $3`,
    [lister, count, MAX_REQUESTED_USERS],
  );
  return rows;
}

async function lastOnPage(client: pg.Client, adminId: number, count: number): Promise<number> {
  const { rows } = await client.query<{ id: number }>(
    'select id from users where admin_id = $1 order by id offset $2 limit 1',
    [adminId, count - 1],
  );
  return rows[0]?.id ?? 0;
}

const INSERT_ADMINS = `
  with created as (
    insert into admins (email, email_canonical, name, name_canonical, password_hash, confirmed_at)
    select address, address, address, address, 'none', now()
      from (select 'admin' || n || '@bench.example' as address from generate_series(1, $1::integer) as n) as a
    returning id
  )
  insert into sessions (admin_id, refresh_nonce, refresh_hash, expires_at)
  select id, decode(md5(random()::text), 'hex'), decode(md5(random()::text), 'hex'), now() + interval '1 day'
    from created
  returning admin_id as "adminId", id`;

const INSERT_USERS = `
  insert into users (admin_id, email, email_canonical, name)
  select admin_id, 'user' || n || '@bench.example', 'user' || n || '@bench.example', 'User number ' || n
    from unnest($1::integer[]) as admin_id, generate_series(1, $2::integer) as n`;
