import { existsSync } from 'node:fs';

/**
 * The folder of package.json, as a URL that ends with a slash. Looked up from here, since a bundle is another number of
 * folders below it than the file that it was made from.
 */
export const projectRoot = nearestManifest(new URL('.', import.meta.url));

function nearestManifest(folder: URL): URL {
  if (existsSync(new URL('package.json', folder))) return folder;
  const parent = new URL('..', folder);
  if (parent.href === folder.href) throw new Error('There is no package.json above the program');
  return nearestManifest(parent);
}
