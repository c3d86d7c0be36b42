import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { healthdLine, openHealthdLog } from '../../api/http/healthd-log.js';
import { openContext } from '../../api/http/request-context.js';
import { createHttpServer } from '../../api/http/server.js';
import { closeServer, listen } from '../../shared/lifecycle/http-server.js';
import { shareProcess, type Scope } from '../helpers/context.js';
import { ask } from '../helpers/http.js';
import { createRecordingLogger } from '../helpers/log.js';
import { exchange } from '../helpers/raw-http.js';

shareProcess();

/** A server whose requests are told in `dir`. */
async function serve(scope: Scope, dir: string) {
  const { log, lines } = createRecordingLogger();
  const healthd = openHealthdLog(dir, log);
  const server = createHttpServer(
    healthd.around({
      onRequest: (req, res) => {
        const context = openContext(log, req, res, undefined);
        if (req.url === '/broken') return;
        if (req.url === '/live') {
          context.isStream = true;
          res.write('retry: 5000\n\n');
          return;
        }
        res.statusCode = req.url?.startsWith('/missing') === true ? 404 : 200;
        res.end();
      },
    }),
    log,
    {},
  );
  const port = await listen(server, 0, '127.0.0.1');
  scope.teardown(() => closeServer(server, 0));
  const get = (path: string) =>
    ask(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(30_000) });
  return { healthd, server, port, get, lines };
}

test('each request is a line in the file of its hour; old files go, foreign ones stay', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'rollcall-healthd-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  await writeFile(join(dir, 'application.log.2026-01-01-00'), 'x');
  await writeFile(join(dir, 'notes.txt'), 'x');
  const { healthd, server, port, get } = await serve(t, dir);
  await get('/users?q=secret');
  await get('/missing');
  const accepted = once(server, 'connection');
  await exchange(
    `http://127.0.0.1:${port}`,
    'POST /broken HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
  );
  const [socket] = (await accepted) as [Socket];
  if (!socket.closed) await once(socket, 'close');
  await healthd.close();

  const [file = '', ...others] = await readdir(dir);
  t.regex(file, /^application\.log\.\d{4}-\d\d-\d\d-\d\d$/);
  t.not(file, 'application.log.2026-01-01-00');
  t.deepEqual(others, ['notes.txt']);
  const [first = '', second = '', third = ''] = (await readFile(join(dir, file), 'utf8')).split(
    '\n',
  );
  t.regex(first, /^\d{10}\.\d{3}"\/users"200"0\.\d{3}"0\.\d{3}"-$/);
  t.regex(second, /"\/missing"404"/);
  t.regex(third, /"\/broken"400"/);
});

test('a stream whose client leaves is no slow, aborted request', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'rollcall-healthd-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const { healthd, server, port, get } = await serve(t, dir);
  const requested = once(server, 'request') as Promise<[IncomingMessage, ServerResponse]>;
  const { body } = await fetch(`http://127.0.0.1:${port}/live`);
  const [, stream] = await requested;
  const closed = once(stream, 'close');
  await body?.cancel();
  await closed;
  await get('/users');
  await healthd.close();

  const [file = ''] = await readdir(dir);
  const lines = (await readFile(join(dir, file), 'utf8')).trim().split('\n');
  t.is(lines.length, 1);
  t.regex(lines[0] ?? '', /"\/users"200"/);
});

test('a path cannot forge a field, and is bounded', (t) => {
  const line = healthdLine({
    at: 1_437_609_879_311,
    url: '/a"500"9?t=1',
    status: 200,
    seconds: 0.0834,
  });
  t.is(line, '1437609879.311"/a%22500%229"200"0.083"0.083"-\n');
  const long = healthdLine({ at: 0, url: `/${'a'.repeat(5_000)}`, status: 200, seconds: 0 });
  t.true(long.length < 300);
});

test('S75 a path with a token or an address is masked, however it is encoded', (t) => {
  const token = `ct_${'0a'.repeat(16)}_${'A'.repeat(43)}`;
  for (const url of [
    `/auth/confirm%3Ftoken=${token}`,
    '/users/ada@rollcall.test',
    '/a%40rollcall.test',
  ]) {
    const line = healthdLine({ at: 0, url, status: 404, seconds: 0 });
    t.notRegex(line, /AAAA|rollcall\.test/, url);
  }
});

test('without its folder requests are answered, and one warning says so', async (t) => {
  const { healthd, get, lines } = await serve(t, join(tmpdir(), 'rollcall-no-such-folder'));
  t.is((await get('/a')).status, 200);
  await healthd.close();
  t.is((await get('/b')).status, 200);
  await healthd.close();
  t.is(lines.filter(({ msg }) => msg === 'health lines not written').length, 1);
});

test('an old file that cannot be removed is not taken for lines that were not written', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'rollcall-healthd-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const stubborn = 'application.log.2026-01-01-00';
  await mkdir(join(dir, stubborn));
  const { healthd, get, lines } = await serve(t, dir);
  for (const path of ['/a', '/b']) {
    await get(path);
    await healthd.close();
  }
  const warnings = lines.map(({ msg }) => String(msg)).filter((msg) => msg.includes('health'));
  t.true(warnings.length >= 1 && warnings.length <= 2, 'once an hour');
  t.deepEqual([...new Set(warnings)], ['old health lines not removed']);
  const file = (await readdir(dir)).find((name) => name !== stubborn) ?? '';
  t.regex(await readFile(join(dir, file), 'utf8'), /"\/a"200".*\n/);
});
