import test from 'ava';
import { createAudit } from '../../../shared/audit/audit.js';
import { shareProcess } from '../../helpers/context.js';
import { createRecordingLogger } from '../../helpers/log.js';

shareProcess();

test('a security event has the category of its subject', (t) => {
  for (const [event, category] of [
    ['authn_login_fail', 'authentication'],
    ['authn_token_revoked', 'session'],
    ['user_deleted', 'iam'],
    ['mail_redriven', 'email'],
    ['queue_paused', 'configuration'],
    ['task_requested', 'process'],
    ['excess_rate_limit_exceeded', 'web'],
  ] as const) {
    const { log, lines } = createRecordingLogger();
    createAudit(log)
      .event(event, { traceId: 'f'.repeat(32) }, {})
      .committed();
    t.like(lines[0], { 'event.action': event, 'event.category': category });
  }
});
