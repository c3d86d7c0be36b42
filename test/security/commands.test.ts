import { userInfo } from 'node:os';
import test from 'ava';
import { runCli, runCliJson, runCliProcess } from '../cli/run-cli.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { openFixture } from '../workers/fixture.js';

const context = useSharedContext('api');
const api = useApi(context);

const ACTOR = `cli/${userInfo().username}`;

test('S77 who makes an operator is recorded, and told as a line on stderr', async (t) => {
  const { email, id } = await api.admins.confirmedAdmin();
  for (const [command, role] of [
    ['grant', 'operator'],
    ['revoke', 'admin'],
  ] as const) {
    const { code, stderr } = await runCliJson(context, ['operator', command, email], {
      LOG_LEVEL: 'fatal',
    });
    t.is(code, 0);
    const line = onlyLine(stderr);
    t.like(line, {
      'service.name': 'rollcall-cli',
      'event.kind': 'event',
      'event.action': 'privilege_permissions_changed',
      'event.outcome': 'success',
      'user.id': String(id),
      'labels.role': role,
      'labels.actor': ACTOR,
    });
    const rows = await context.rows(
      `select event, admin_id, details from audit_events where trace_id = $1`,
      [line['trace.id']],
    );
    t.deepEqual(rows, [
      { event: 'privilege_permissions_changed', admin_id: id, details: { role, actor: ACTOR } },
    ]);
    t.false(stderr.includes(email));
  }
  const again = await runCli(context, ['operator', 'revoke', email]);
  t.deepEqual([again.code, again.stderr], [0, ''], 'nothing changed, nothing is told');
});

test('S77 who decides about a dead letter is recorded and told', async (t) => {
  const fixture = await openFixture(t, context);
  for (const [command, event] of [
    ['redrive', 'mail_redriven'],
    ['discard', 'mail_discarded'],
  ] as const) {
    const { id } = await fixture.promiseConfirmation({ message: { state: 'dead' } });
    const { code, stdout, stderr } = await runCliProcess(t, context, ['mail', command, id]);
    t.is(code, 0);
    t.true(stdout.startsWith(id), 'the answer alone is on stdout');
    t.like(onlyLine(stderr), {
      'event.action': event,
      'labels.outbox_id': id,
      'labels.actor': ACTOR,
    });
    const rows = await context.rows(
      `select details ->> 'actor' as actor from audit_events where event = $1 and details ->> 'outbox_id' = $2`,
      [event, id],
    );
    t.deepEqual(rows, [{ actor: ACTOR }]);
  }
});

test('S39 an operator ends all sessions of an admin: their tokens are dead, and it is recorded', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const second = await api.admins.logIn(admin);
  const other = await api.admins.confirmedAdmin();
  const { code, json, stderr } = await runCliJson(context, ['sessions', 'end', admin.email]);
  t.deepEqual([code, json], [0, { ok: true, email: admin.email, ended: 2 }]);
  for (const { access_token, refresh_token } of [admin.login, second]) {
    t.is((await api.client.as(access_token).get('/auth/me')).status, 401);
    t.is((await api.client.post('/auth/refresh', { refresh_token })).status, 401);
  }
  t.is((await other.client.get('/auth/me')).status, 200);
  t.like(onlyLine(stderr), {
    'event.action': 'authn_token_revoked',
    'user.id': String(admin.id),
    'labels.sessions': 2,
    'labels.actor': ACTOR,
  });
  const rows = await context.rows(
    `select details from audit_events where event = 'authn_token_revoked' and admin_id = $1`,
    [admin.id],
  );
  t.deepEqual(rows, [{ details: { sessions: 2, actor: ACTOR } }]);
  t.is((await api.admins.logIn(admin)).token_type, 'Bearer', 'the password is as good as before');
});

/** @throws unless the text is one line of JSON. */
function onlyLine(text: string): Readonly<Record<string, unknown>> {
  const lines = text.trimEnd().split('\n');
  if (lines.length !== 1) throw new Error(`not one line: ${text}`);
  return JSON.parse(lines[0] ?? '') as Record<string, unknown>;
}
