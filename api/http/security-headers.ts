import { createHash } from 'node:crypto';
import type { RequestHandler, Response } from 'express';

const ONE_YEAR_SECONDS = 31_536_000;

/** Headers that every answer bears: nothing is cached, framed, sniffed, or referred from. */
export function securityHeaderValues(publicUrl: string): Readonly<Record<string, string>> {
  return {
    'Cache-Control': 'no-store',
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    ...(publicUrl.startsWith('https:') && {
      'Strict-Transport-Security': `max-age=${ONE_YEAR_SECONDS}; includeSubDomains`,
    }),
  };
}

/** Puts them on every answer, whatever becomes of the request. */
export function securityHeaders(publicUrl: string): RequestHandler {
  const headers = new Map(Object.entries(securityHeaderValues(publicUrl)));
  return (_req, res, next) => {
    res.setHeaders(headers);
    next();
  };
}

/** Lets one inline style sheet through, and forms that post back here; still no script and nothing from elsewhere. */
export function allowPage(res: Response, styles: string): void {
  const hash = createHash('sha256').update(styles).digest('base64');
  res.setHeader(
    'Content-Security-Policy',
    `default-src 'none'; style-src 'sha256-${hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  );
}
