import { writeFile } from 'node:fs/promises';
import { openApiText } from './build.js';

// Written beside the compiled code, where the API reads it. `npm run docs` writes the committed copy.
await writeFile(new URL('openapi.json', import.meta.url), await openApiText());
