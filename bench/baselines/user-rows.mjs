import pg from 'pg';
import { settings } from './settings.mjs';

/** As many connections as the product has. */
export const pool = new pg.Pool({ connectionString: settings.postgresUrl, max: 10 });

/** Prepared statements: `name` has pg parse them once per connection. */
const statements = {
  one: {
    name: 'one',
    text: 'select id, email, name, active, created_at, updated_at from users where id = $1',
  },
  page: {
    name: 'page',
    text: `select id, email, name, active, created_at, updated_at from users
            where admin_id = $1 and id > $2 order by id limit $3`,
  },
  insert: {
    name: 'insert',
    text: `insert into users (admin_id, email, email_canonical, name) values ($1, $2, $3, $4)
           returning id, email, name, active, created_at, updated_at`,
  },
};

export async function findUser(id) {
  const { rows } = await pool.query({ ...statements.one, values: [id] });
  return rows[0];
}

export async function findPage(adminId, after, limit) {
  const { rows } = await pool.query({ ...statements.page, values: [adminId, after, limit] });
  return rows;
}

export async function insertUser(adminId, { email, name }) {
  const values = [adminId, email, email.toLowerCase(), name];
  const { rows } = await pool.query({ ...statements.insert, values });
  return rows[0];
}
