import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generatedDocuments } from '../documents/generated-documents.js';
import { projectRoot } from '../paths.js';

// `npm run docs`: writes the documents that are generated from the code.

for (const { path, content } of await generatedDocuments())
  await writeFile(join(projectRoot, path), content);
