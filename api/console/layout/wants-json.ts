import type { Request } from 'express';

/** True when the client asks for the data of a page: a browser asks for HTML first. */
export const wantsJson = (req: Request): boolean => req.accepts(['html', 'json']) === 'json';

/** True when a browser opens a page, which can be shown the login instead. */
export const isNavigation = (req: Request): boolean =>
  (req.method === 'GET' || req.method === 'HEAD') && req.accepts(['html', 'json']) === 'html';
