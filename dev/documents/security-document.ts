import { readdir, readFile } from 'node:fs/promises';
import { mutationTable, readSummary } from '../mutation/summary.js';
import { apiGrants, redisRules, workerGrants } from './least-privilege.js';
import {
  readAsvsChapters,
  readPersonalData,
  readSecurityRequirements,
  type SecurityRequirement,
} from './yaml-data.js';

/** The test files by the requirement ids in their titles. */
type TestedIn = ReadonlyMap<string, readonly string[]>;

const TITLE = /\btest(?:\.serial)?\(\s*["'`]((?:S\d\d )+)/g;

type Requirements = Readonly<Record<string, SecurityRequirement>>;

/**
 * `docs/security.md`: every requirement and the tests that bear its id in their titles.
 * @throws if a requirement has no test, or a test names an unknown requirement.
 */
export async function securityDocument(root: URL): Promise<string> {
  const requirements = await readSecurityRequirements();
  const testedIn = await readTitles(new URL('test/security/', root));
  checkConsistency(requirements, testedIn);
  return [
    '# Security',
    '',
    'What the service must do and withstand, and the tests that check it. Each test has the id at the start of its title;',
    'this page is generated from those titles by `npm run docs`, so that it cannot claim a test that does not exist.',
    'How to report a vulnerability: [SECURITY.md](../SECURITY.md). Numbers are of OWASP ASVS 5.0; CS is the OWASP Cheat',
    'Sheet Series.',
    '',
    '## Requirements',
    '',
    '| id | requirement | sources | state |',
    '| --- | --- | --- | --- |',
    ...Object.entries(requirements).map(
      ([id, each]) =>
        `| ${id} | ${each.requirement} | ${each.sources} | ${stateOf(each, testedIn.get(id))} |`,
    ),
    '',
    '## ASVS 5.0, level 2, by chapter',
    '',
    '| chapter | here | ids |',
    '| --- | --- | --- |',
    ...(await readAsvsChapters()).map(
      ({ chapter, title, here }) =>
        `| V${chapter} ${title} | ${here} | ${idsOf(requirements, chapter).join(' ') || '–'} |`,
    ),
    '',
    '## Personal data',
    '',
    'What remains of a person, where, until when, and why. “Until” counts from the end that it names; the worker deletes rows by',
    'itself ([purge-expired](runbook.md#housekeeping)). Deleting an account deletes its row, users, sessions and followed',
    'links at once; a mail that has not been sent is not sent any more.',
    '',
    '| data | where | until | why |',
    '| --- | --- | --- | --- |',
    ...(await readPersonalData()).map(
      ({ data, where, until, why }) => `| ${data} | ${where} | ${until || '–'} | ${why || '–'} |`,
    ),
    '',
    '## Would the tests notice?',
    '',
    ...mutationTable(await readSummary(root)),
    '',
    '## Least privilege',
    '',
    ...leastPrivilege(),
    '## Dependencies',
    '',
    '`npm run sbom` writes the bill of materials, CycloneDX, to `dist/sbom.cdx.json`. `security/min-versions.json` holds the',
    'versions that are free of known advisories, `security/without-integrity.json` the few packages that are',
    'locked without a checksum, and why.',
    '',
  ].join('\n');
}

/** What each process needs of PostgreSQL and Redis. */
const leastPrivilege = (): readonly string[] => [
  'The API and the command line need only these rights in PostgreSQL. They add to the audit, but can neither change nor',
  'delete its rows:',
  '',
  '```sql',
  ...apiGrants('ROLE').map((grant) => `${grant};`),
  '```',
  '',
  'The worker needs only these. It reads no password hash and no token, changes neither the content nor the recipient of a mail,',
  'and has the months of the audit made and dropped by two functions, which take no other table and no other date:',
  '',
  '```sql',
  ...workerGrants('ROLE').map((grant) => `${grant};`),
  '```',
  '',
  'Migrations run with the role that owns the tables. Grant both again after a migration:',
  '`npm run database-roles -- grants` does it.',
  '',
  'Both processes need only these rights in Redis:',
  '',
  '```',
  `ACL SETUSER NAME on >PASSWORD ${redisRules.join(' ')}`,
  '```',
  '',
];

async function readTitles(folder: URL): Promise<TestedIn> {
  const testedIn = new Map<string, string[]>();
  for (const file of (await readdir(folder, { recursive: true })).toSorted()) {
    if (!file.endsWith('.test.ts')) continue;
    const source = await readFile(new URL(file, folder), 'utf8');
    const ids = [...source.matchAll(TITLE)].flatMap(([, given = '']) => given.trim().split(' '));
    for (const id of new Set(ids)) testedIn.set(id, [...(testedIn.get(id) ?? []), file]);
  }
  return testedIn;
}

function checkConsistency(requirements: Requirements, testedIn: TestedIn): void {
  for (const id of testedIn.keys()) {
    if (!(id in requirements))
      throw new Error(`a test title has the id ${id}, which is not a requirement`);
  }
  for (const [id, { toCome, doesNotApply }] of Object.entries(requirements)) {
    const isTested = testedIn.has(id);
    if (isTested && doesNotApply !== undefined)
      throw new Error(`${id} does not apply, but is tested`);
    if (!isTested && toCome === undefined && doesNotApply === undefined)
      throw new Error(`no test in test/security/ has a title that begins with ${id}`);
  }
}

function stateOf(
  { toCome, doesNotApply }: SecurityRequirement,
  files: readonly string[] = [],
): string {
  if (doesNotApply !== undefined) return `does not apply: ${doesNotApply}`;
  const links = files.map((file) => `[${file.replace('.test.ts', '')}](../test/security/${file})`);
  if (links.length === 0) return `waits for ${toCome ?? ''}`;
  return `tested in ${links.join(', ')}${toCome === undefined ? '' : `; to come: ${toCome}`}`;
}

/** The ids of the requirements with a source in this chapter: ASVS sections come first in `sources`. */
const idsOf = (requirements: Requirements, chapter: number): string[] =>
  Object.entries(requirements)
    .filter(([, { sources }]) =>
      (sources.split(';')[0] ?? '').split(', ').some((each) => each.startsWith(`${chapter}.`)),
    )
    .map(([id]) => id);
