import type { Logger } from './logger.js';

/** Warns of variables that are probably misspelt: they have no effect. */
export function logMistakenNames(
  { mistakenNames }: { readonly mistakenNames: readonly string[] },
  log: Logger,
): void {
  if (mistakenNames.length > 0)
    log.warn({ 'labels.variables': mistakenNames.join(', ') }, 'unknown environment variables');
}
