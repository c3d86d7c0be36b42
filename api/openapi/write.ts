import { writeFile } from 'node:fs/promises';
import { openApiText } from './build.js';

// Beside the compiled code, where the API reads it. `npm run docs` writes the copy that is committed.
await writeFile(new URL('openapi.json', import.meta.url), await openApiText());
