import type { RequestHandler } from 'express';
import type { Passwords } from './passwords.js';

/**
 * Refuses requests that would only be refused later because no more hashes can be queued for the client. Belongs first in a
 * route: in a flood nearly every request ends here, before it is counted in Redis and before its body is read.
 */
export const requireHashRoom =
  (passwords: Pick<Passwords, 'requireRoom'>): RequestHandler =>
  (req, _res, next) => {
    passwords.requireRoom({ ip: req.ip });
    next();
  };
