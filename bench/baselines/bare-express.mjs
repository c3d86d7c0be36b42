import express from 'express';
import { settings } from './settings.mjs';

// Express with one route: anything else gets its own 404.

const app = express();

app.get('/health/live', (_req, res) => {
  res.json({ status: 'ok' });
});

app.listen(settings.port, settings.host);
