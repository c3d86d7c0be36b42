import test from 'ava';
import { findMutants, mutated } from '../../dev/mutation/mutants.js';

const changesOf = async (source: string): Promise<string[]> =>
  (await findMutants('x.js', source)).map((mutant) => mutated(source, mutant));

test('each mutant is the file with one change, in the right place', async (t) => {
  t.deepEqual(await changesOf(`const é = '€';\nif (a === 1) throw b;`), [
    `const é = '€';\nif (true) throw b;`,
    `const é = '€';\nif (false) throw b;`,
    `const é = '€';\nif (a !== 1) throw b;`,
    `const é = '€';\nif (a === 1) ;`,
  ]);
});

test('operators, negations, results and statements are changed', async (t) => {
  for (const [source, ...changes] of [
    ['const x = (a) < b;', 'const x = (a) <= b;', 'const x = (a) >= b;'],
    ['const x = a ?? b;', 'const x = a && b;'],
    ['const x = !a;', 'const x = a;'],
    ['const x = true;', 'const x = false;'],
    ['const f = () => a;', 'const f = () => undefined;'],
    ['const f = () => { return a; };', 'const f = () => { return undefined; };'],
    ['await save();', ';'],
    ['import { a } from "b";'],
  ] as const)
    t.deepEqual(await changesOf(source), [...changes], source);
});

test('a mutant keeps its name while its file stays the same', async (t) => {
  const [one] = await findMutants('x.js', 'save();');
  const [same] = await findMutants('x.js', 'save();');
  const [other] = await findMutants('x.js', 'save(); ');
  t.is(one?.id, same?.id);
  t.not(one?.id, other?.id);
});
