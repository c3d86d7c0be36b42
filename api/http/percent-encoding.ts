import { isUtf8 } from 'node:buffer';

/**
 * True when the percent-encoded bytes of a query or a form are UTF-8, as is what stands between them. Whoever decodes
 * other bytes puts U+FFFD in their place, and nobody can type that again.
 */
export const isEncodedUtf8 = (text: string): boolean =>
  [...text.matchAll(/(?:%[0-9a-f]{2})+/gi)].every(([bytes]) =>
    isUtf8(Buffer.from(bytes.replaceAll('%', ''), 'hex')),
  );
