import { USUAL_SECRET } from '../dataset.js';
import type { ServerSpec } from '../world.js';

/** The API as it runs in production, with its log, headers and limits on. Its stdout goes to a file. */
export const api: ServerSpec = { name: 'api', program: { script: 'api/main' } };

/** The limit: node:http and pg with prepared statements, without authentication, log or limits. */
export const nodePg: ServerSpec = { name: 'node-pg', program: { baseline: 'node-pg' } };

/** Express and pg with prepared statements, without authentication, log or limits. */
export const expressPg: ServerSpec = { name: 'express-pg', program: { baseline: 'express-pg' } };

/** Express, Sequelize models and passport-jwt as their documentation shows them. */
export const usualStack: ServerSpec = {
  name: 'usual-stack',
  program: { baseline: 'usual-stack', settings: { secret: USUAL_SECRET } },
};

/** Express with one route. */
export const bareExpress: ServerSpec = {
  name: 'bare-express',
  program: { baseline: 'bare-express' },
};
