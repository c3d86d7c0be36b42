import test from 'ava';
import { ConfigError } from '../../../shared/config/config.js';
import { variables } from '../../../shared/config/variables.js';
import { readings } from './readings.js';

test('there is a reading here for every variable', (t) => {
  t.deepEqual(Object.keys(readings).toSorted(), Object.keys(variables).toSorted());
});

for (const [name, { read, good, bad }] of Object.entries(readings)) {
  test(`${name} is read as documented`, (t) => {
    for (const [text, value] of good) t.deepEqual(read(text), value, `${name}=${text}`);
  });

  if (bad.length > 0) {
    test(`${name} is refused by name, and its value never shown`, (t) => {
      for (const text of bad) {
        const error = t.throws(() => read(text), { instanceOf: ConfigError }, `${name}=${text}`);
        t.true(
          error?.faults.some(({ variable }) => variable === name),
          `${name}=${text} is told as ${error?.message}`,
        );
        if (text.length > 3) t.false(error?.message.includes(text), `the message shows ${text}`);
      }
    });
  }

  test(`${name} counts as unset when it is empty`, (t) => {
    const outcome = (text: string | undefined): unknown => {
      try {
        return read(text);
      } catch (error) {
        return error instanceof ConfigError ? error.message : error;
      }
    };
    t.deepEqual(outcome(''), outcome(undefined));
  });
}
