import test from 'ava';
import { openWithClose } from '../../dev/stack/releases.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

const failing = async (): Promise<never> => {
  throw new Error('it does not stop');
};

test('what fails to stop keeps nothing else running, and is told at the end', async (t) => {
  const stopped: string[] = [];
  const opened = await openWithClose(async (onClose) => {
    onClose(() => void stopped.push('postgres'));
    onClose(failing);
    onClose(() => void stopped.push('redis'));
    return { url: 'http://localhost' };
  });
  t.is(opened.url, 'http://localhost');
  await t.throwsAsync(opened.close(), { message: 'it does not stop' });
  t.deepEqual(stopped, ['redis', 'postgres']);
  await opened.close();
  t.is(stopped.length, 2, 'a second call does nothing');
});

test('all that fails to stop is told', async (t) => {
  const { close } = await openWithClose(async (onClose) => {
    onClose(failing);
    onClose(failing);
    return {};
  });
  await t.throwsAsync(close(), {
    instanceOf: AggregateError,
    message: 'Error: it does not stop; Error: it does not stop',
  });
});

test('what cannot be opened releases what was open, and says why', async (t) => {
  const stopped: string[] = [];
  const opening = openWithClose(async (onClose) => {
    onClose(() => void stopped.push('postgres'));
    onClose(failing);
    throw new Error('no port is free');
  });
  await t.throwsAsync(opening, { message: 'no port is free' });
  t.deepEqual(stopped, ['postgres']);
});
