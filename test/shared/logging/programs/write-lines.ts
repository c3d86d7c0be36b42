import { createLogger } from '../../../../shared/logging/logger.js';

/** Logs one line of each kind that the logger's test checks. */
const log = createLogger<string>({ service: 'rollcall-test', environment: 'test', level: 'debug' });

log.info('plain');
log.debug({ 'user.id': 7, 'event.duration': 1_500_000 }, 'with fields');
log.trace('below the level');
log.warn(
  { 'user_agent.original': 'a\n{"log.level":"fatal"}\r\u001B[2J\u2028b\u0000', text: '"}' },
  'hostile',
);

const cause = Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' });
log.error({ err: new TypeError('could not save', { cause }), 'labels.try': 2 }, 'an error');
log.error({ err: Object.assign(cause, { name: 'NetworkError' }) }, 'an error with a code');
log.error({ err: 'just a text' }, 'a thrown text');
log.child({ 'http.request.id': 'request-1' }).info('of a child');
