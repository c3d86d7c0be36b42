import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { toNodeHandler } from 'better-auth/node';
import express from 'express';
import pg from 'pg';
import { settings } from './settings.mjs';

// A peer: better-auth on express and pg, in a schema of its own. GET /cookies gives the cookies of its users.

const USERS = 200;
const COOKIE_CACHE_SECONDS = 3_600;

const options = {
  baseURL: `http://${settings.host}:${settings.port}`,
  secret: 'the secret of a baseline on loopback, long enough',
  database: new pg.Pool({
    connectionString: settings.postgresUrl,
    max: 10,
    options: `-c search_path=${settings.schema}`,
  }),
  emailAndPassword: {
    enabled: true,
    // Nothing is measured of passwords here, and hashing them would take long.
    password: { hash: async (password) => password, verify: async () => true },
  },
  session: { cookieCache: { enabled: settings.isCached, maxAge: COOKIE_CACHE_SECONDS } },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
};

await options.database.query(`create schema if not exists ${settings.schema}`);
const { runMigrations } = await getMigrations(options);
await runMigrations();
const auth = betterAuth(options);
const cookies = await Promise.all(Array.from({ length: USERS }, (_, index) => signUp(index)));

const app = express();
app.all('/api/auth/*splat', toNodeHandler(auth));
app.get('/cookies', (_req, res) => {
  res.json(cookies);
});
app.get('/health/live', (_req, res) => {
  res.json({ status: 'ok' });
});
app.listen(settings.port, settings.host);

async function signUp(index) {
  const name = `user${index}`;
  const body = { name, email: `${name}@bench.example`, password: 'violet kettle under nine' };
  const response = await auth.api.signUpEmail({ body, asResponse: true });
  const set = response.headers.getSetCookie();
  return set.map((cookie) => cookie.split(';', 1)[0]).join('; ');
}
