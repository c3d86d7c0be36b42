import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import type { ArchiveFile } from './zip.js';

/** The environments of Elastic Beanstalk: one serves the API, one runs the worker. */
export const tiers = ['web', 'worker'] as const;

export type Tier = (typeof tiers)[number];

/** The images that an instance runs: references that Docker understands. */
export interface Images {
  readonly api: string;
  readonly worker: string;
}

/** What goes into a bundle beside the files of the tree. */
export interface BundleOptions {
  /** The folder that holds `.ebextensions`, `.platform` and `deploy`. */
  readonly root: string;
  readonly images: Images;
  /** The authority of the database's certificate, in PEM. */
  readonly databaseCa?: Buffer | undefined;
}

/** The references in the compose files of the tree, which a bundle replaces. */
const PLACEHOLDERS: Readonly<Record<keyof Images, string>> = {
  api: 'rollcall-api:local',
  worker: 'rollcall-worker:local',
};
/** Configuration deployments run these instead of `hooks`, and need the same. */
const MIRRORED = ['prebuild', 'postdeploy'];
const CA_FILE = 'database-ca.pem';
const CA_IN_CONTAINER = '/etc/rollcall/database-ca.pem';

/** True for what is pinned by its content: it can never become another image. */
export const isPinned = (image: string): boolean =>
  /^[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}$/.test(image);

/** The files of a tier's source bundle, as Elastic Beanstalk wants them: flat `.ebextensions`, hooks that may be run. */
export async function bundleFiles(tier: Tier, options: BundleOptions): Promise<ArchiveFile[]> {
  const { root, databaseCa } = options;
  const own = await readTree(join(root, 'deploy', tier));
  const compose = own.find(({ path }) => path === 'docker-compose.yml');
  if (!compose) throw new Error(`deploy/${tier}/docker-compose.yml is missing`);
  const others = own.filter(({ path }) => path !== compose.path && !path.includes('.example.'));
  const parts = ['common', tier];
  const extensions = await Promise.all(
    parts.map((part) => readTree(join(root, '.ebextensions', part))),
  );
  const platform = await Promise.all(parts.map((part) => readTree(join(root, '.platform', part))));
  const files = [
    file('docker-compose.yml', composeText(compose.data.toString(), options)),
    ...others.map(({ path, data }) => file(path, data)),
    ...extensions.flat().map(({ path, data }) => file(`.ebextensions/${path}`, data)),
    ...platform.flat().flatMap(({ path, data }) => platformFiles(path, data)),
    ...(databaseCa ? [file(CA_FILE, databaseCa)] : []),
  ];
  refuseDoubles(files);
  return files;
}

const file = (path: string, data: Buffer | string, mode = 0o644): ArchiveFile => ({
  path,
  mode,
  data: Buffer.from(data),
});

/** Scripts may be run whatever the checkout made of their modes. */
function platformFiles(path: string, data: Buffer): ArchiveFile[] {
  const mode = path.endsWith('.sh') ? 0o755 : 0o644;
  const [folder, phase = ''] = path.split('/');
  const own = file(`.platform/${path}`, data, mode);
  if (folder !== 'hooks' || !MIRRORED.includes(phase)) return [own];
  return [own, file(`.platform/config${path}`, data, mode)];
}

/** The compose file with its images and, if there is one, the database's authority. */
function composeText(text: string, { images, databaseCa }: BundleOptions): string {
  const withImages = (Object.keys(PLACEHOLDERS) as (keyof Images)[]).reduce(
    (each, name) => each.replaceAll(`image: ${PLACEHOLDERS[name]}\n`, `image: ${images[name]}\n`),
    text,
  );
  if (!databaseCa) return withImages;
  const document = parseDocument(withImages, { merge: true });
  const services = document.toJS() as { services: Record<string, { volumes?: string[] }> };
  for (const [name, { volumes = [] }] of Object.entries(services.services)) {
    const mount = `./${CA_FILE}:${CA_IN_CONTAINER}:ro`;
    document.setIn(['services', name, 'volumes'], document.createNode([...volumes, mount]));
    document.setIn(['services', name, 'environment', 'POSTGRES_CA_FILE'], CA_IN_CONTAINER);
  }
  return document.toString();
}

function refuseDoubles(files: readonly ArchiveFile[]): void {
  const paths = new Set<string>();
  for (const { path } of files) {
    if (paths.has(path)) throw new Error(`two files would be ${path}`);
    paths.add(path);
  }
}

/** Every file below a folder, by its path in it; none if there is no such folder. */
async function readTree(folder: string): Promise<{ path: string; data: Buffer }[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const found = entries.filter((entry) => entry.isFile() && !isRubbish(entry.name));
  return Promise.all(
    found.map(async (entry) => {
      const whole = join(entry.parentPath, entry.name);
      const path = whole.slice(folder.length + 1).replaceAll('\\', '/');
      return { path, data: await readFile(whole) };
    }),
  );
}

/** What editors and operating systems leave behind. */
const isRubbish = (name: string): boolean => /^\.DS_Store$|~$|\.swp$|^\.env/.test(name);
