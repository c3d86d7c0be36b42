import { randomUUID } from 'node:crypto';
import test from 'ava';
import { searchAdmins } from '../../api/ops/admin-search.service.js';
import { readAuditEvents } from '../../api/ops/audit-trail.service.js';
import { placeOf, TimeAndId, type PageRequest } from '../../api/ops/keyset.js';
import { listDeadLetters } from '../../api/ops/mail/dead-letters.service.js';
import { listSuppressions } from '../../api/ops/mail/suppressions.service.js';
import { searchUsers } from '../../api/ops/user-search.service.js';
import { AppError } from '../../shared/errors/app-error.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';

shareProcess();

const context = useContext();

const cursorOf = (key: unknown): string => Buffer.from(JSON.stringify(key)).toString('base64url');
const NOW = '2026-11-30 12:00:00.123456+00';
const REAL_TIMES = [
  NOW,
  ...['2028-02-29 00:00:00+00', '2026-11-30 17:30:00.5+05:30', '2026-11-30 09:00:00-12'],
];
/** Times that PostgreSQL fails at, although most have the form of one. */
const FORGED_TIMES = [
  ...['2026-13-45 99:99:99+00', '2026-02-29 00:00:00+00', '2026-11-30 24:00:01+00'],
  ...['2026-11-30 12:00:00+16', '2026-11-30 12:00:00+14:60', '2026-11-30 12:00:00+00:00:99'],
  ...['0000-01-01 00:00:00+00', '999999-01-01 00:00:00+00', 'infinity', '2026', '', '\0'],
];

test('the time of a cursor is one that PostgreSQL has written', (t) => {
  const placeAt = (time: string) => placeOf(TimeAndId, cursorOf([time, randomUUID()]));
  for (const time of REAL_TIMES) t.is(placeAt(time)?.[0], time);
  for (const time of FORGED_TIMES)
    t.is(t.throws<AppError>(() => placeAt(time), { instanceOf: AppError }).code, 'invalid_cursor');
});

test('a forged cursor is an invalid one in every listing, whatever PostgreSQL would say of it', async (t) => {
  const database = openTestDatabase(t, context.databaseUrl);
  const listings: Readonly<Record<string, (request: PageRequest) => Promise<unknown>>> = {
    admins: (request) => searchAdmins({ database }, '', request),
    users: (request) => searchUsers({ database }, {}, request),
    audit: (request) => readAuditEvents({ database }, {}, request),
    'dead letters': (request) => listDeadLetters({ database }, { state: 'dead' }, request),
    suppressions: (request) => listSuppressions({ database }, request),
  };
  const forged = [
    ...FORGED_TIMES.flatMap((time) => [
      [time, randomUUID()],
      [time, 'a@x.test'],
    ]),
    ...[['\0'], ['1\0'], ['-1'], ['99999999999'], ['1e3'], [1], [null], [], {}, null, '\0'],
    ...['a\0@x.test', '\ud800@x.test', 'x'.repeat(255)].map((address) => [NOW, address]),
  ];
  for (const [name, list] of Object.entries(listings))
    for (const key of forged) {
      const error = await t.throwsAsync<AppError>(
        list({ limit: 1, cursor: cursorOf(key) }),
        { instanceOf: AppError },
        `${name}: ${JSON.stringify(key)}`,
      );
      t.is(error.code, 'invalid_cursor');
    }
  for (const time of REAL_TIMES) {
    await listings['dead letters']?.({ limit: 1, cursor: cursorOf([time, randomUUID()]) });
    await listings['suppressions']?.({ limit: 1, cursor: cursorOf([time, 'a@x.test']) });
  }
});
