import { readFile, writeFile } from 'node:fs/promises';
import { openApiText } from './build.js';

// Writes the document beside the compiled code, where the API reads it, and where it is committed. With `--check`, as in
// continuous integration, the committed copy must be right already.

const text = await openApiText();
await writeFile(new URL('openapi.json', import.meta.url), text);

const committed = new URL('../../../api/openapi/openapi.json', import.meta.url);
if ((await readFile(committed, 'utf8').catch(() => undefined)) !== text) {
  if (process.argv.includes('--check')) {
    process.stderr.write(
      'api/openapi/openapi.json is not committed as `npm run build` writes it.\n',
    );
    process.exitCode = 1;
  } else {
    await writeFile(committed, text).catch((error: unknown) => {
      // A checkout that may only be read can still be built.
      if (!/^(?:EACCES|EPERM|EROFS)\b/.test((error as Error).message)) throw error;
    });
  }
}
