import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import pg from 'pg';
import { parse } from 'yaml';
import { projectRoot } from '../../dev/paths.js';
import { useContext } from '../helpers/context.js';
import { environment } from '../helpers/env.js';
import { eventually } from '../helpers/eventually.js';
import { ask } from '../helpers/http.js';
import { bounceOf, envelope, mailObject } from '../workers/ses-fixture.js';
import { startInstance } from './instance.js';

const run = promisify(execFile);
const context = useContext();

test.serial(
  'the bundles run by their own compose files, pass the smoke walk, and take what the daemon posts',
  async (t) => {
    const database = `${context.id}_bundle`;
    const databaseUrl = Object.assign(new URL(context.stack.postgresUrl), {
      pathname: `/${database}`,
    }).href;
    const administrator = new pg.Client({ connectionString: context.stack.postgresUrl });
    await administrator.connect();
    t.teardown(() => administrator.end());
    await administrator.query(`create database ${database}`);
    t.teardown(() => administrator.query(`drop database ${database} with (force)`));
    const rows = async <R extends object>(
      sql: string,
      values: readonly unknown[],
    ): Promise<R[]> => {
      const client = new pg.Client({ connectionString: databaseUrl });
      await client.connect();
      try {
        return (await client.query(sql, [...values])).rows as R[];
      } finally {
        await client.end();
      }
    };

    // What an operator sets outside of the bundle, at the servers of the tests. They are no topic of SNS, so none is named.
    const {
      PATH: _,
      HOME: __,
      HOST: ___,
      PORT: ____,
      WORKER_PORT: _____,
      SPOOL_DIR: ______,
      ...settings
    } = environment(context, {
      DATABASE_URL: databaseUrl,
      SES_TOPIC_ARN: '',
    });
    const worker = await startInstance(t, 'worker', settings);
    t.deepEqual(
      worker.started,
      ['migrate', 'worker'],
      'workers come first, so they have the migrations',
    );
    t.deepEqual(await rows('select 1 from outbox', []), [], 'the schema is there');
    const web = await startInstance(t, 'web', settings);
    t.deepEqual(web.started, ['migrate', 'api'], 'and run them again, to no effect');

    const smoke = await run(process.execPath, [
      join(projectRoot, 'dist/dev/smoke/main.js'),
      web.url,
      '--mailbox',
      context.stack.mailboxUrl,
    ]);
    t.regex(smoke.stdout, /^\d\d passed, 0 failed/m);

    const daemon = (path: string, headers: Readonly<Record<string, string>>, body?: string) =>
      ask(`${worker.url}${path}`, {
        method: 'POST',
        headers: {
          'User-Agent': 'aws-sqsd/3.0.4',
          'Content-Type': 'application/json',
          'X-Aws-Sqsd-Queue': 'awseb-e-abc-stack-AWSEBWorkerQueue-1',
          'X-Aws-Sqsd-First-Received-At': '2026-11-29T04:00:00Z',
          ...headers,
        },
        body: body ?? '',
        signal: AbortSignal.timeout(30_000),
      });
    const { cron } = parse(
      await readFile(join(projectRoot, 'deploy/worker/cron.yaml'), 'utf8'),
    ) as {
      cron: readonly { name: string; url: string }[];
    };
    for (const { name, url } of cron) {
      const answer = await daemon(url, {
        'X-Aws-Sqsd-Msgid': randomUUID(),
        'X-Aws-Sqsd-Receive-Count': '1',
        'X-Aws-Sqsd-Taskname': name,
        'X-Aws-Sqsd-Scheduled-At': '2026-11-29T04:00:00Z',
        'X-Aws-Sqsd-Sender-Id': 'AIDAEXAMPLE',
      });
      t.is(answer.status, 200, `${name}: ${answer.text}`);
    }

    const providerId = `0100${randomUUID()}-000000`;
    const [mail] = await rows<{ id: string; recipient: string }>(
      `update deliveries d set provider_id = $1 from outbox o
        where o.id = d.outbox_id and d.outcome = 'sent' returning o.id, o.recipient`,
      [providerId],
    );
    const { id: outboxId, recipient: address } = mail ?? { id: '', recipient: '' };
    const bounce = bounceOf(mailObject(providerId, outboxId), address);
    const message = JSON.stringify(envelope(bounce));
    const id = randomUUID();
    for (const count of ['1', '2']) {
      const headers = { 'X-Aws-Sqsd-Msgid': id, 'X-Aws-Sqsd-Receive-Count': count };
      const answer = await daemon('/sqs', headers, message);
      t.is(answer.status, 200, answer.text);
    }
    t.is((await rows('select 1 from mail_events where provider_id = $1', [providerId])).length, 1);
    t.is(
      (await rows('select 1 from suppressions where email_canonical = $1', [address])).length,
      1,
    );

    const folder = web.hostFolder('/var/log/nginx/healthd');
    const lines = await eventually(async () => {
      const [file = ''] = await readdir(folder);
      const text = file === '' ? '' : await readFile(join(folder, file), 'utf8');
      return text.includes('"/auth/register"202"') ? text.trim().split('\n') : false;
    });
    for (const line of lines)
      t.regex(line, /^\d{10}\.\d{3}"\/[^"?]*"[1-5]\d\d"\d+\.\d{3}"\d+\.\d{3}"-$/);
  },
);
