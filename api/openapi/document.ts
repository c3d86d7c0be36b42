import { readFileSync } from 'node:fs';
import * as z from 'zod';

const Document = z.looseObject({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) });

/** The built document, from beside this file. @throws when the build has not written it. */
export function readOpenApiDocument(): z.infer<typeof Document> {
  return Document.parse(JSON.parse(readFileSync(new URL('openapi.json', import.meta.url), 'utf8')));
}
