import { ConnectionRefusedError } from 'sequelize';
import test from 'ava';
import { isDatabaseUnavailable } from '../../../shared/database/failures.js';
import { messageOf, messageWithCauses } from '../../../shared/errors/message-of.js';
import { createLogger } from '../../../shared/logging/logger.js';
import { shareProcess } from '../../helpers/context.js';

shareProcess();

const refused = (address: string): Error => new Error(`connect ECONNREFUSED ${address}`);
/** As Node throws it for a host with two addresses. */
const several = Object.assign(new AggregateError([refused('127.0.0.1:1'), refused('::1:1')]), {
  code: 'ECONNREFUSED',
});
const BOTH = 'connect ECONNREFUSED 127.0.0.1:1; connect ECONNREFUSED ::1:1';

test('an error of several addresses says what each answered, wrapped by Sequelize too', (t) => {
  t.is(messageOf(several), BOTH);
  t.is(messageOf(new ConnectionRefusedError(several)), BOTH);
  t.is(messageOf(new AggregateError([refused('a'), refused('a')])), 'connect ECONNREFUSED a');
  t.is(
    messageOf(new AggregateError([refused('a')], 'not sent')),
    'not sent: connect ECONNREFUSED a',
  );
  t.true(isDatabaseUnavailable(several));
});

test('an error without a message says its code or its name', (t) => {
  t.is(messageOf(new Error('refused')), 'refused');
  t.is(messageOf(Object.assign(new Error(), { code: 'ETIMEDOUT' })), 'ETIMEDOUT');
  t.is(messageOf(Object.assign(new Error(), { code: 5 })), 'Error');
  t.is(messageOf(new AggregateError([])), 'AggregateError');
  t.is(messageOf('just a text'), 'just a text');
});

test('causes follow, and a circle of them ends', (t) => {
  t.is(messageWithCauses(new Error('not saved', { cause: several })), `not saved: ${BOTH}`);
  const circle = new Error('round');
  circle.cause = circle;
  t.is(messageWithCauses(circle), 'round: round: round: round: round');
});

test('a log line of such an error has its message', (t) => {
  const lines: string[] = [];
  const log = createLogger<string>({
    service: 'rollcall-test',
    environment: 'test',
    level: 'info',
    destination: { write: (line) => void lines.push(line) },
  });
  log.warn({ err: new ConnectionRefusedError(several) }, 'failed');
  t.like(JSON.parse(lines[0] ?? ''), { 'error.message': BOTH });
});
