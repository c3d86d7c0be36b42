import test from 'ava';
import { ConfigError } from '../../../shared/config/config.js';
import { shareProcess } from '../../helpers/context.js';
import { randomSecret } from '../../helpers/env.js';
import { api, badTexts } from './reading.js';
import { authorities, fileOf } from './readings.js';

shareProcess();

const secret = randomSecret();
const candidates = [
  ...[secret, 'a key', 'a;b', '"quoted"', '\\', 'é', '\u200bx', '日本 語', `${secret}==`],
  ...['\n', '\r\n', ' ', '\t', '\v', '\u00a0', '\ufeff', '\u2028', '\u3000', '\u0085', ',', ', '],
].flatMap((text) => [text, `${secret}${text}`, `${text}${secret}`, `${secret}${text}${secret}`]);

/** Undefined for a text that is refused. */
function read<T>(from: () => T): T | undefined {
  try {
    return from();
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

test('a text that is taken as the current key is the same key among the previous ones', (t) => {
  const taken = candidates.filter((text) => read(() => api({ PASSWORD_PEPPER: text })));
  t.true(taken.length > 20 && taken.length < candidates.length);
  for (const text of taken) {
    const { secrets } = api({ SECRET_KEY: text });
    t.is(secrets.current, text);
    const both = `${text},${secret}-older`;
    const { secrets: later, passwords } = api({
      SECRET_KEY_PREVIOUS: both,
      PASSWORD_PEPPER_PREVIOUS: both,
    });
    t.deepEqual(later.previous, [text, `${secret}-older`]);
    t.deepEqual(passwords.previousPeppers, later.previous);
  }
});

for (const name of ['SECRET_KEY', 'PASSWORD_PEPPER']) {
  test(`${name}: a key that would be another one among the previous ones is refused, and the fault says why`, (t) => {
    for (const [text, why] of [
      [`${secret}\n`, /control characters, such as a newline/],
      [` ${secret}`, /neither begin nor end with a blank/],
      [`${secret},${secret}`, /must not contain a comma/],
    ] as const)
      t.throws(() => api({ [name]: text }), { instanceOf: ConfigError, message: why }, text);
    t.true(badTexts.every((text) => read(() => api({ [name]: text })) === undefined));
  });
}

test('authorities of a database that TLS is off for are a fault, whoever turned it off', (t) => {
  const POSTGRES_CA_FILE = fileOf(authorities);
  for (const POSTGRES_SSL of ['disable', ''])
    t.throws(() => api({ POSTGRES_SSL, POSTGRES_CA_FILE }), {
      instanceOf: ConfigError,
      message: /^ {2}POSTGRES_CA_FILE: requires POSTGRES_SSL=verify-full$/m,
    });
});
