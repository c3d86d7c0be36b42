const UNRELEASED = '## [Unreleased]';

/** Where a section of the changelog begins, below its heading, and where it ends. */
function boundsOf(text: string, heading: (line: string) => boolean): [number, number] | undefined {
  const lines = text.split('\n');
  const at = lines.findIndex(heading);
  if (at < 0) return undefined;
  const next = lines.findIndex((line, index) => index > at && line.startsWith('## '));
  return [at + 1, next < 0 ? lines.length : next];
}

/** What the changelog says of a version, without its heading; undefined if it does not know it, or says nothing. */
export function sectionOf(text: string, version: string): string | undefined {
  const bounds = boundsOf(text, (line) => line.startsWith(`## [${version}]`));
  const section =
    bounds &&
    text
      .split('\n')
      .slice(...bounds)
      .join('\n')
      .trim();
  return section === '' ? undefined : section;
}

/**
 * The changelog with what is unreleased as the section of this version, and an empty section above it. Nothing is reworded.
 * @throws if nothing is unreleased, or the version is there already.
 */
export function cutChangelog(text: string, version: string, date: string): string {
  if (boundsOf(text, (line) => line.startsWith(`## [${version}]`)))
    throw new Error(`CHANGELOG.md has a section for ${version} already.`);
  const bounds = boundsOf(text, (line) => line === UNRELEASED);
  if (
    !bounds ||
    text
      .split('\n')
      .slice(...bounds)
      .join('')
      .trim() === ''
  )
    throw new Error(
      `CHANGELOG.md has nothing under ${UNRELEASED}: say what an operator will notice.`,
    );
  const lines = text.split('\n');
  return lines.toSpliced(bounds[0], 0, '', `## [${version}] - ${date}`).join('\n');
}
