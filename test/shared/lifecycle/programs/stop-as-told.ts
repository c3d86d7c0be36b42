import { createRecordingLogger } from '../../../helpers/log.js';
import { startLifecycle } from '../../../../shared/lifecycle/lifecycle.js';

/**
 * A process that opens three things and then does what its first argument says. It writes what happens on stdout,
 * a word a line; its log goes to stderr.
 */
const scenario = process.argv[2] ?? '';
const deadlineMs = Number(process.argv[3] ?? 60_000);

const say = (word: string): void => void process.stdout.write(`${word}\n`);
const { log, messages } = createRecordingLogger();
const lifecycle = startLifecycle(log, deadlineMs);
process.on('exit', () => {
  for (const message of messages()) process.stderr.write(`${String(message)}\n`);
});
const forever = setInterval(() => undefined, 60_000);

lifecycle.onStop('first', () => say('released first'));
lifecycle.onStop('second', async () => {
  say('releasing second');
  if (scenario === 'hang') await new Promise(() => undefined);
  if (scenario === 'fail') throw new Error('cannot be released');
  await new Promise(setImmediate);
  say('released second');
});
lifecycle.onStop('third', () => {
  clearInterval(forever);
  say('released third');
  if (scenario === 'ask') say(`isStopping ${lifecycle.isStopping}`);
});

if (scenario === 'ask') say(`isStopping ${lifecycle.isStopping}`);
if (scenario === 'throw')
  setImmediate(() => {
    throw new Error('escaped');
  });
if (scenario === 'reject') setImmediate(() => void Promise.reject(new Error('escaped')));
if (scenario === 'throw and hang') {
  lifecycle.onStop('fourth', () => new Promise(() => undefined));
  setImmediate(() => {
    throw new Error('escaped');
  });
}
if (scenario === 'stop twice') {
  await Promise.all([lifecycle.stop('asked'), lifecycle.stop('asked again', 3)]);
}
say('ready');
