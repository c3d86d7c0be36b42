import type { Measurement } from './measurement.js';
import { live, notFound } from './measurements/plain-routes.js';
import { me } from './measurements/session-check.js';
import { create, list, page, read } from './measurements/users.js';

/** Every measurement, in the order of the report. */
export const catalogue: readonly Measurement[] = [read, list, page, me, live, notFound, create];
