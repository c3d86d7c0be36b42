import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { generatedDocuments } from '../../dev/documents/generated-documents.js';
import { projectRoot } from '../../dev/paths.js';

test('every generated document is as the code makes it', async (t) => {
  const documents = await generatedDocuments();
  t.true(documents.length >= 5);
  for (const { path, content } of documents) {
    t.is(await readFile(join(projectRoot, path), 'utf8'), content, `${path}: run \`npm run docs\``);
  }
});
