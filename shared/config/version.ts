import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { projectRoot } from './project-root.js';

const manifest = new URL('package.json', projectRoot);

/** Name and version of the running build, from package.json. Apart from the configuration: it does not depend on the environment. */
export const product = Object.freeze(
  z
    .object({ name: z.string(), version: z.string() })
    .parse(JSON.parse(readFileSync(manifest, 'utf8'))),
);
