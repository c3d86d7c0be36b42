import test from 'ava';
import { scalableWork, type WorkFacts } from '../../workers/cloudwatch/scalable-work.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

const settings = { utilisation: 0.5, catchUpSeconds: 10 };
const idle: WorkFacts = {
  waiting: 0,
  donePerSecond: 0,
  limitPerSecond: 1_000,
  workerPerSecond: 50,
  isHeld: false,
};
const needed = (facts: Partial<WorkFacts>): number =>
  scalableWork([{ ...idle, ...facts }], settings).workersNeeded;

test('without work no worker is needed', (t) => {
  t.deepEqual(scalableWork([idle], settings), { workersNeeded: 0, isHeld: false });
  t.deepEqual(scalableWork([], settings), { workersNeeded: 0, isHeld: false });
});

test('what is done counts as well as what waits, so that enough workers stay enough', (t) => {
  t.is(needed({ donePerSecond: 100 }), 4);
  t.is(needed({ waiting: 1_000 }), 4);
  t.is(needed({ donePerSecond: 100, waiting: 1_000 }), 8);
});

test('no more workers are needed than reach the limit', (t) => {
  t.is(needed({ waiting: 1e6, limitPerSecond: 14, workerPerSecond: 14.3 }), 1);
  t.is(needed({ waiting: 1e6, limitPerSecond: 300 }), 6);
  t.is(needed({ waiting: 1e6, limitPerSecond: 301 }), 7);
  t.is(needed({ donePerSecond: 300, limitPerSecond: 300 }), 6, 'nor fewer, while they reach it');
  t.is(needed({ waiting: 1e6, limitPerSecond: Infinity }), 4_000);
});

test('what waits while the work is held asks for no worker, and lets none go', (t) => {
  t.deepEqual(scalableWork([{ ...idle, waiting: 1e6, isHeld: true }], settings), {
    workersNeeded: 0,
    isHeld: true,
  });
  t.is(needed({ waiting: 1e6, donePerSecond: 50, isHeld: true }), 2, 'what still passes counts');
  t.false(scalableWork([{ ...idle, isHeld: true }], settings).isHeld, 'unless nothing waits');
});

test('the kind of work that needs most decides', (t) => {
  const mails = { ...idle, donePerSecond: 100 };
  const lines = { ...idle, limitPerSecond: Infinity, workerPerSecond: 40_000, waiting: 2e6 };
  t.is(scalableWork([mails, lines], settings).workersNeeded, 10);
  const held = { ...lines, isHeld: true };
  t.deepEqual(scalableWork([mails, held], settings), { workersNeeded: 4, isHeld: true });
});
