import express from 'express';
import { settings } from './settings.mjs';
import { findPage, findUser, insertUser } from './user-rows.mjs';

// Express and pg by hand: no authentication, log or limits.

const app = express();

app.get('/health/live', (_req, res) => {
  res.json({ status: 'ok' });
});

app.get('/users/:id', async (req, res) => {
  const user = await findUser(Number(req.params.id));
  if (user === undefined) res.status(404).json({ error: 'not found' });
  else res.json(user);
});

app.get('/users', async (req, res) => {
  const { admin, after, limit } = req.query;
  res.json(await findPage(admin, after, limit));
});

app.post('/users', express.json(), async (req, res) => {
  res.status(201).json(await insertUser(req.get('x-admin'), req.body));
});

app.listen(settings.port, settings.host);
