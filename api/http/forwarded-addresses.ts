import { isIPv4, isIPv6 } from 'node:net';
import type { RequestHandler } from 'express';

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

/** An address without the port behind it and the brackets around it; what is no address stays as it is. */
export function withoutPort(text: string): string {
  const given = text.trim();
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([\d.]+))(?::\d*)?$/.exec(given) ?? [];
  if (bracketed !== undefined && isIPv6(bracketed)) return bracketed;
  return plain !== undefined && isIPv4(plain) ? plain : given;
}
