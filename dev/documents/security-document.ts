import { readdir, readFile } from 'node:fs/promises';
import { mutationTable, readSummary } from '../mutation/summary.js';
import { databaseGrants, redisRules } from './least-privilege.js';
import { readSecurityRequirements, type SecurityRequirement } from './records.js';

/** The titles' ids by test file. */
type TestedIn = ReadonlyMap<string, readonly string[]>;

const TITLE = /\btest(?:\.serial)?\(\s*["'`]((?:S\d\d )+)/g;

const securityRequirements = await readSecurityRequirements();

/** Chapters of the OWASP Application Security Verification Standard 5.0, and what applies here. */
const chapters: readonly (readonly [number: number, title: string, here: string])[] = [
  [
    1,
    'Encoding and sanitization',
    'bound SQL parameters, escaped pages and mails, one JSON object a log line',
  ],
  [
    2,
    'Validation and business logic',
    'strict schemas for every request, constraints in the database, limits for what costs',
  ],
  [
    3,
    'Web frontend security',
    'pages without script, Swagger UI under its own policy; no cookies yet',
  ],
  [4, 'API and web service', 'JSON in UTF-8 alone, ambiguous requests are refused'],
  [5, 'File handling', 'no uploads or downloads'],
  [
    6,
    'Authentication',
    'passwords by NIST SP 800-63B-4, rate limits by account and network; but no cap on consecutive failures (NIST has 100), and no second factor',
  ],
  [
    7,
    'Session management',
    'sessions in the database, looked up at every request; they end 30 days after their login (`JWT_REFRESH_TOKEN_EXPIRES`), without an idle time-out',
  ],
  [
    8,
    'Authorization',
    'every query is restricted to its admin; operators are appointed, never registered',
  ],
  [
    9,
    'Self-contained tokens',
    'RFC 9068 access tokens for 15 minutes, one algorithm, keys by purpose',
  ],
  [10, 'OAuth and OIDC', 'no authorization server; refresh tokens rotate as RFC 9700 requires'],
  [
    11,
    'Cryptography',
    'HKDF keys by purpose, HMAC, SHA-256, bcrypt behind a pepper; Node’s own primitives only',
  ],
  [
    12,
    'Secure communication',
    'names and chains are checked wherever TLS is spoken: in production to the mail server always, to PostgreSQL unless an operator sets `POSTGRES_SSL=disable`, to Redis if its URL is `rediss://`, which we recommend and do not enforce; TLS to clients ends at the load balancer',
  ],
  [
    13,
    'Configuration',
    'one module reads and validates; production does not start with weak secrets',
  ],
  [
    14,
    'Data protection',
    'nothing is cached; no store holds a usable token; e-mail addresses stay out of Redis and log lines, and are plain in PostgreSQL; IP addresses are logged and audited',
  ],
  [
    15,
    'Secure coding and architecture',
    'locked dependencies with checksums, bounded work, no shared mutable state',
  ],
  [
    16,
    'Security logging and error handling',
    'an audit trail, RFC 9457 errors, fails closed with 503',
  ],
  [17, 'WebRTC', 'none'],
];

/**
 * `docs/security.md`: every requirement and where it is tested, read from the titles of the tests.
 * @throws when the list and the tests disagree.
 */
export async function securityDocument(root: URL): Promise<string> {
  const testedIn = await readTitles(new URL('test/security/', root));
  assertConsistent(testedIn);
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
    ...Object.entries(securityRequirements).map(
      ([id, each]) =>
        `| ${id} | ${each.requirement} | ${each.sources} | ${stateOf(each, testedIn.get(id))} |`,
    ),
    '',
    '## ASVS 5.0, level 2, by chapter',
    '',
    '| chapter | here | ids |',
    '| --- | --- | --- |',
    ...chapters.map(
      ([number, title, here]) =>
        `| V${number} ${title} | ${here} | ${idsOf(number).join(' ') || '–'} |`,
    ),
    '',
    '## Would the tests notice?',
    '',
    ...mutationTable(await readSummary(root)),
    '',
    '## Least privilege',
    '',
    'The API and the command line need only these rights in PostgreSQL. They add to the audit, but can neither change nor',
    'delete its rows. Migrations run with the role that owns the tables, and so does the worker, which creates and',
    'drops the monthly partitions of the audit. Grant this again after a migration that adds a table.',
    '',
    '```sql',
    ...databaseGrants('ROLE').map((grant) => `${grant};`),
    '```',
    '',
    'Both processes need only these rights in Redis:',
    '',
    '```',
    `ACL SETUSER NAME on >PASSWORD ${redisRules.join(' ')}`,
    '```',
    '',
    '## Dependencies',
    '',
    '`npm run sbom` writes the bill of materials, CycloneDX, to `dist/sbom.cdx.json`. `security/min-versions.json` holds the',
    'versions that are free of known advisories, `security/without-integrity.json` the few packages that are',
    'locked without a checksum, and why.',
    '',
  ].join('\n');
}

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

function assertConsistent(testedIn: TestedIn): void {
  for (const id of testedIn.keys()) {
    if (!(id in securityRequirements))
      throw new Error(`a test has the id ${id}, which is no requirement`);
  }
  for (const [id, { toCome, doesNotApply }] of Object.entries(securityRequirements)) {
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

/** The requirements that have a source in the chapter: ASVS comes first. */
const idsOf = (chapter: number): string[] =>
  Object.entries(securityRequirements)
    .filter(([, { sources }]) =>
      (sources.split(';')[0] ?? '').split(', ').some((each) => each.startsWith(`${chapter}.`)),
    )
    .map(([id]) => id);
