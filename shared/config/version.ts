import { readFileSync } from 'node:fs';
import * as z from 'zod';

const manifest = new URL('../../../package.json', import.meta.url);

/** Name and version of the running build, from package.json. */
export const product = Object.freeze(
  z
    .object({ name: z.string(), version: z.string() })
    .parse(JSON.parse(readFileSync(manifest, 'utf8'))),
);
