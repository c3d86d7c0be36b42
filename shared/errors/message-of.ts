/**
 * What an error says. Node's error for a host with several addresses of which none answers has no
 * message of its own, and neither has Sequelize's around it: the errors of the addresses have them.
 */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const several = aggregateIn(error)?.errors.map(ownMessage) ?? [];
  if (several.length === 0) return ownMessage(error);
  return [error.message, [...new Set(several)].join('; ')].filter(Boolean).join(': ');
}

/** The same with its causes: `could not save: connection refused`. */
export function messageWithCauses(error: unknown, depth = 0): string {
  const message = messageOf(error);
  return error instanceof Error && error.cause instanceof Error && depth < 4
    ? `${message}: ${messageWithCauses(error.cause, depth + 1)}`
    : message;
}

/** Sequelize keeps the driver's error as `parent`. */
function aggregateIn(error: Error): AggregateError | undefined {
  if (error instanceof AggregateError) return error;
  return 'parent' in error && error.parent instanceof AggregateError ? error.parent : undefined;
}

function ownMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return error.message || code || error.name;
}
