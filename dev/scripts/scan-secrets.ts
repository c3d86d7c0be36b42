import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { lintSource } from '@secretlint/core';
import { creator } from '@secretlint/secretlint-rule-preset-recommend';
import { projectRoot } from '../paths.js';

// `node dist/dev/scripts/scan-secrets.js`: scans every file that could be committed for keys, tokens and passwords.

/** Files that `.gitignore` excludes. */
const IGNORED = new Set(['.git', '.local', 'coverage', 'dist', 'node_modules']);
const isIgnored = (name: string): boolean =>
  IGNORED.has(name) || /^\.env(?:\.|$)(?!example$)|\.log$/.test(name);
const isText = (path: string): boolean => !/\.(?:png|ico|jpe?g|gif|woff2?)$/.test(path);
/** Credentials of the tests' fake hosts: RFC 2606 names, loopback, one letter. */
const isTestCredential = (secret: string): boolean =>
  /@(?:127\.0\.0\.1|10\.0\.0\.1|[\w-]+\.test|\w)(?:[:/]|$)/.test(secret);

const rule = { id: '@secretlint/secretlint-rule-preset-recommend', rule: creator };

const paths = await filesBelow(projectRoot);
// All files are read first: secretlint's profiler does work quadratic in the files so far whenever the loop awaits.
const contents = await Promise.all(paths.map((path) => readFile(path, 'utf8')));
let found = 0;
for (const [index, path] of paths.entries()) {
  for (const { message, loc } of await secretsIn(path, contents[index] ?? '')) {
    found += 1;
    process.stdout.write(`${relative(projectRoot, path)}:${loc.start.line} ${message}\n`);
  }
}
process.stdout.write(`${found} secrets found in ${paths.length} files\n`);
// An immediate exit, for the same reason.
process.exit(found > 0 ? 1 : 0);

async function secretsIn(path: string, content: string) {
  const { messages } = await lintSource({
    source: {
      filePath: path,
      content,
      ext: path.slice(path.lastIndexOf('.')),
      contentType: 'text',
    },
    options: { config: { rules: [rule] }, maskSecrets: true, noPhysicFilePath: true },
  });
  return messages.filter(({ range: [start, end] }) => !isTestCredential(content.slice(start, end)));
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const nested = entries
    .filter(({ name }) => !isIgnored(name))
    .map(async (entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return filesBelow(path);
      return entry.isFile() && isText(path) ? [path] : [];
    });
  return (await Promise.all(nested)).flat();
}
