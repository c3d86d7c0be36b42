import { buffer } from 'node:stream/consumers';
import { fromBuffer, type Entry as ZipEntry, type ZipFile as OpenZip } from 'yauzl';
import { ZipFile } from 'yazl';

/** A file of an archive. */
export interface ArchiveFile {
  /** Relative, with slashes. */
  readonly path: string;
  /** The permissions, such as 0o755. */
  readonly mode: number;
  readonly data: Buffer;
}

const REGULAR_FILE = 0o100_000;
/**
 * The first that the format knows. It is written in local time: made from local time, it is the same bytes everywhere.
 */
const MODIFIED_AT = new Date(1980, 0, 1);

/**
 * The same files give the same bytes, whatever the machine, its time zone and its version of Node: sorted, with one time, and
 * stored, since compressors differ.
 */
export function packZip(files: readonly ArchiveFile[]): Promise<Buffer> {
  const zip = new ZipFile();
  for (const { path, mode, data } of files.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    zip.addBuffer(data, path, {
      mtime: MODIFIED_AT,
      mode: REGULAR_FILE | mode,
      compress: false,
      forceDosTimestamp: true,
    });
  }
  zip.end();
  return buffer(zip.outputStream);
}

/** Reads an archive. @throws for one that is broken, or has a path that leads out of it. */
export function unpackZip(bytes: Buffer): Promise<ArchiveFile[]> {
  return new Promise((resolve, reject) => {
    fromBuffer(bytes, { lazyEntries: true }, (error, zip) => {
      if (error) return reject(error);
      const files: ArchiveFile[] = [];
      zip.on('error', reject);
      zip.on('end', () => resolve(files));
      zip.on('entry', (entry: ZipEntry) => {
        readEntry(zip, entry).then((file) => {
          files.push(file);
          zip.readEntry();
        }, reject);
      });
      zip.readEntry();
    });
  });
}

function readEntry(zip: OpenZip, entry: ZipEntry): Promise<ArchiveFile> {
  return new Promise((resolve, reject) => {
    zip.openReadStream(entry, (error, stream) => {
      if (error) return reject(error);
      const mode = (entry.externalFileAttributes >>> 16) & 0o777;
      buffer(stream).then((data) => resolve({ path: entry.fileName, mode, data }), reject);
    });
  });
}
