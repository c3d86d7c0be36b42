import type { Measurement } from './measurement.js';
import { logMemory, logs, requestLog, twoWorkers } from './measurements/logs.js';
import { mail, register } from './measurements/mails.js';
import { login, overload, storm } from './measurements/passwords.js';
import { live, notFound } from './measurements/plain-routes.js';
import { memory, start } from './measurements/process-life.js';
import { me } from './measurements/session-check.js';
import { create, list, page, read } from './measurements/users.js';

/** Every measurement, in the order of the report. */
export const catalogue: readonly Measurement[] = [
  read,
  list,
  page,
  me,
  live,
  notFound,
  create,
  login,
  storm,
  overload,
  register,
  mail,
  logs,
  logMemory,
  requestLog,
  twoWorkers,
  start,
  memory,
];
