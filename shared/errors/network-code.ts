/**
 * The code of the error of network or TLS that is behind an error, such as `ECONNREFUSED` or `CERT_HAS_EXPIRED`. Unlike its message
 * it holds no address. Sequelize keeps the driver's error as `parent`.
 */
export function networkCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && typeof error.code === 'string' && CODE.test(error.code)) return error.code;
  return 'parent' in error ? networkCodeOf(error.parent) : undefined;
}

const CODE = /^[A-Z][A-Z0-9_]{2,60}$/;
