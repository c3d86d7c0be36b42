import type { RequestHandler } from 'express';
import type { ThrottleRequests } from '../throttling/throttle-requests.js';

/** What one admin may do to its users: ten writes a second are plenty for a program, and too few to flood the table. */
export const createUserWriteLimit = (throttle: ThrottleRequests): RequestHandler =>
  throttle({ name: 'user-writes', points: 600, seconds: 60 });
