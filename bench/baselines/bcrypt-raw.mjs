import bcrypt from 'bcrypt';
import { serveBatches } from './batches.mjs';
import { settings } from './settings.mjs';

// The limit of logins: nothing but bcrypt, a few at a time.

const { cost, concurrency } = settings;
const password = 'violet kettle under nine bridges';
const hash = await bcrypt.hash(password, cost);

serveBatches(async ({ ms }) => {
  const startedAt = performance.now();
  let count = 0;
  const compareUntilOver = async () => {
    while (performance.now() - startedAt < ms) {
      await bcrypt.compare(password, hash);
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, compareUntilOver));
  return { count, seconds: (performance.now() - startedAt) / 1_000 };
});
