/**
 * Headers in which proxies of any product name the client or the original host. New ones appear, so the pattern is broad:
 * a header that is not known to mean something else counts as one of them.
 */
export const FORWARDING_HEADERS =
  /forwarded|(?:client|connecting|real|remote|socket|user)-?(?:ip|addr)|-(?:ip|address)$|^x-(?:original-)?host$/;
