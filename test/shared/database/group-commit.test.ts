import test from 'ava';
import { groupCommit } from '../../../shared/database/group-commit.js';
import { shareProcess } from '../../helpers/context.js';

shareProcess();

/** Row `x` of key `a` is written `a:x`. */
const keyOf = (row: string): string => row.split(':')[0] ?? '';

/** Grouped rows whose runs end when the test says so; each row's result is the row in upper case. */
function setUp(
  fails: (rows: readonly string[]) => Error | undefined = () => undefined,
  pauseMs?: () => number,
) {
  const runs: (readonly string[])[] = [];
  let end: () => void = () => undefined;
  let held: Promise<void> | undefined;
  const add = groupCommit(
    keyOf,
    async (rows: readonly string[]) => {
      runs.push(rows);
      await held;
      const error = fails(rows);
      if (error) throw error;
      return new Map(
        rows.filter((row) => !row.includes('none')).map((row) => [keyOf(row), row.toUpperCase()]),
      );
    },
    pauseMs,
  );
  return {
    runs,
    add,
    hold() {
      held = new Promise((resolve) => {
        end = resolve;
      });
    },
    release() {
      held = undefined;
      end();
    },
  };
}

/** As PostgreSQL refuses a value. */
const refused = (): Error =>
  Object.assign(new Error('invalid input syntax'), { severity: 'ERROR', code: '22P02' });

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i += 1)
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
};

test('the rows of one turn of the event loop are one run, and each caller gets its own result', async (t) => {
  const { runs, add } = setUp();
  const results = await Promise.all(['b', 'a', 'none', 'c'].map(add));
  t.deepEqual(results, ['B', 'A', undefined, 'C']);
  t.deepEqual(runs, [['b', 'a', 'none', 'c']]);
});

test('what comes while a run is in progress waits for the next one', async (t) => {
  const { runs, add, hold, release } = setUp();
  hold();
  const first = add('a');
  await turns(2);
  const others = [add('b'), add('c')];
  await turns(3);
  t.deepEqual(runs, [['a']]);
  release();
  t.deepEqual(await Promise.all([first, ...others]), ['A', 'B', 'C']);
  t.deepEqual(runs, [['a'], ['b', 'c']]);
});

/** Adds one row, then two more in turns of their own; resolves to the runs, and how long after the first the last was added. */
async function addThree(pauseMs: number) {
  const { runs, add } = setUp(undefined, () => pauseMs);
  await add('a');
  const startedAt = performance.now();
  const second = add('b');
  await turns(4);
  const third = add('c');
  const tookMs = performance.now() - startedAt;
  await Promise.all([second, third]);
  return { runs, tookMs };
}

test('without a pause each turn has its own run', async (t) => {
  t.deepEqual((await addThree(0)).runs, [['a'], ['b'], ['c']]);
});

test('what comes during the pause after a run is one run as well', async (t) => {
  const pauseMs = 1_000;
  let added = await addThree(pauseMs);
  // On a busy host the turns may take longer than the pause, which then tells nothing.
  while (added.tookMs > pauseMs / 2) added = await addThree(pauseMs);
  t.deepEqual(added.runs, [['a'], ['b', 'c']]);
});

test('rows with the same key are never in one run, and keep their order', async (t) => {
  const { runs, add } = setUp();
  const results = await Promise.all(['a:1', 'a:2', 'b:1', 'a:3'].map(add));
  t.deepEqual(results, ['A:1', 'A:2', 'B:1', 'A:3']);
  t.deepEqual(runs, [['a:1', 'b:1'], ['a:2'], ['a:3']]);
});

test('a run has fifty rows at most', async (t) => {
  const { runs, add } = setUp();
  await Promise.all(Array.from({ length: 120 }, (_, i) => add(`${i}`)));
  t.deepEqual(
    runs.map(({ length }) => length),
    [50, 50, 20],
  );
});

test('a row that PostgreSQL refuses fails alone, with its own error', async (t) => {
  const { runs, add } = setUp((rows) => (rows.includes('bad') ? refused() : undefined));
  const [a, bad, b] = await Promise.allSettled(['a', 'bad', 'b'].map(add));
  t.like(a, { status: 'fulfilled', value: 'A' });
  t.like(b, { status: 'fulfilled', value: 'B' });
  t.like(bad, { status: 'rejected' });
  t.deepEqual(runs, [['a', 'bad', 'b'], ['a'], ['bad'], ['b']]);
  t.is(await add('c'), 'C');
});

/** Rows of the key `bad` run until the test ends them, and spoil what they share. */
function setUpBad() {
  const runs: string[] = [];
  const ends: ((error?: Error) => void)[] = [];
  const add = groupCommit(keyOf, async (rows: readonly string[]) => {
    runs.push(rows.join(' '));
    if (rows.some((row) => keyOf(row) === 'bad')) {
      if (rows.length > 1) throw refused();
      const error = await new Promise<Error | undefined>((resolve) => {
        ends.push(resolve);
      });
      if (error) throw error;
    }
    return new Map(rows.map((row) => [keyOf(row), row]));
  });
  return { runs, add, end: (error?: Error) => ends.shift()?.(error) };
}

test('nobody waits for a row that is run by itself but those with its key', async (t) => {
  const { runs, add, end } = setUpBad();
  const bad = add('bad:1');
  t.is(await add('a'), 'a');
  const again = add('bad:2');
  t.is(await add('b'), 'b');
  t.deepEqual(runs, ['bad:1 a', 'bad:1', 'a', 'b']);
  end();
  t.is(await bad, 'bad:1');
  // Nothing but the end of the first calls for it.
  await turns(2);
  t.is(runs.at(-1), 'bad:2');
  end();
  t.is(await again, 'bad:2');
});

test('a row that was refused by itself shares no statement when it comes again, until it is accepted', async (t) => {
  const { runs, add, end } = setUpBad();
  const bad = add('bad:1');
  await add('a');
  end(refused());
  await t.throwsAsync(bad);
  const again = add('bad:2');
  t.is(await add('b'), 'b');
  t.deepEqual(runs, ['bad:1 a', 'bad:1', 'a', 'bad:2', 'b']);
  end();
  t.is(await again, 'bad:2');
  const last = add('bad:3');
  t.is(await add('c'), 'c');
  t.is(runs.at(-3), 'bad:3 c');
  end();
  t.is(await last, 'bad:3');
});

test('what PostgreSQL would refuse of any row fails for every caller, and is run once', async (t) => {
  const tooMany = Object.assign(new Error('too many'), { severity: 'FATAL', code: '53300' });
  const { runs, add } = setUp(() => tooMany);
  const results = await Promise.allSettled(['a', 'b'].map(add));
  t.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  t.deepEqual(runs, [['a', 'b']]);
});

test('a failure that may have come after the commit is every caller’s, and nothing is run twice', async (t) => {
  const { runs, add } = setUp(() => new Error('Connection terminated unexpectedly'));
  const results = await Promise.allSettled(['a', 'b'].map(add));
  t.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  t.deepEqual(runs, [['a', 'b']]);
});
