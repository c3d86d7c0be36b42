import type { RequestHandler } from 'express';
import { withoutPort } from '../../shared/http/without-port.js';

/**
 * Takes ports and brackets off the addresses in `X-Forwarded-For`, before Express reads whom to trust and who asks. Some
 * proxies add the client's port (an AWS load balancer with `xff_client_port`): each connection would be another client.
 */
export const plainForwardedAddresses: RequestHandler = (req, _res, next) => {
  const given = req.headers['x-forwarded-for'];
  if (typeof given === 'string')
    req.headers['x-forwarded-for'] = given.split(',').map(withoutPort).join(', ');
  next();
};
