import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';

const ONE_YEAR_SECONDS = 31_536_000;

/** Headers of every response: no caching, framing, sniffing, or referrers. */
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

/** Allows one inline style sheet, and forms that post to this origin; still no scripts and no external resources. */
export function allowPage(res: ServerResponse, styles: string): void {
  const hash = createHash('sha256').update(styles).digest('base64');
  res.setHeader(
    'Content-Security-Policy',
    `default-src 'none'; style-src 'sha256-${hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  );
}
