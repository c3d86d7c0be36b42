import type { RequestHandler } from 'express';
import { withoutPort } from '../../shared/http/network-address.js';

/** More proxies than a request passes that is meant seriously. Each adds its own at the end. */
const MAX_ADDRESSES = 100;

/**
 * Takes ports and brackets off the addresses in `X-Forwarded-For`, before Express reads whom to trust and who asks. Some
 * proxies add the client's port (an AWS load balancer with `xff_client_port`): each connection would be another client. Of more than 100 addresses only the last are kept.
 */
export const plainForwardedAddresses: RequestHandler = (req, _res, next) => {
  const given = req.headers['x-forwarded-for'];
  if (typeof given === 'string')
    req.headers['x-forwarded-for'] = given
      .split(',')
      .slice(-MAX_ADDRESSES)
      .map(withoutPort)
      .join(', ');
  next();
};
