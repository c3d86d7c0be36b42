/**
 * Headers in which proxies of any product name the client or the original host. New ones appear, so the pattern is broad:
 * a header that is not known to mean something else counts as one of them.
 */
export const FORWARDING_HEADERS =
  /^(?:x-original-)?(?:x-)?forwarded|(?:client|connecting|real|remote|socket|user)-?(?:ip|addr)|external-address|^x-(?:original-)?host$/;
