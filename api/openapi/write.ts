import { writeFile } from 'node:fs/promises';
import { buildOpenApi } from './build.js';

const text = `${JSON.stringify(buildOpenApi(), null, 2)}\n`;

// Beside the compiled code, where the API reads it; with --source also the copy that is committed.
await writeFile(new URL('openapi.json', import.meta.url), text);
if (process.argv.includes('--source')) {
  await writeFile(new URL('../../../api/openapi/openapi.json', import.meta.url), text);
}
