import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { projectRoot } from '../../../shared/config/project-root.js';

/** A file that pages load, by a name that changes with its content. */
export interface Asset {
  readonly path: string;
  readonly type: string;
  readonly content: string;
}

const folder = new URL('dist/api/console/assets/', projectRoot);

/** The text of a file in `assets/`. @throws when the build has not copied it. */
export const readAsset = (name: string): string => readFileSync(new URL(name, folder), 'utf8');

function makeAsset(name: string, type: string, files: readonly string[]): Asset {
  const content = files.map(readAsset).join('');
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 12);
  const [stem, extension] = name.split('.');
  return { path: `/assets/${stem}-${hash}.${extension}`, type, content };
}

/** The style sheet and the script of the console's pages. */
export const assets = {
  styles: makeAsset('console.css', 'text/css; charset=utf-8', ['tokens.css', 'console.css']),
  script: makeAsset('console.js', 'text/javascript; charset=utf-8', ['console.js']),
} as const;
