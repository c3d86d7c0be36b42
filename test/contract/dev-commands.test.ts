import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { readDevEnv } from '../../dev/env.js';
import { projectRoot } from '../../dev/paths.js';
import { claimPort, loopback } from '../../dev/stack/processes/ports.js';
import { readmeFolder } from '../../dev/tour/browser.js';
import { shareProcess, type Scope } from '../helpers/context.js';
import { startProgram } from '../helpers/processes.js';

shareProcess();

test('npm run dev explains itself, refuses arguments, and starts nothing then', async (t) => {
  const help = await run(t, 'dev/scripts/dev', ['--help']);
  t.deepEqual([help.code, help.stderr, help.files], [0, '', []]);
  t.regex(help.stdout, /^usage: npm run dev\n[^]*API 5000[^]*DEV_DATA_DIR/);
  for (const argument of ['--bogus', 'bogus']) {
    const refused = await run(t, 'dev/scripts/dev', [argument]);
    t.deepEqual([refused.code, refused.stdout, refused.files], [64, '', []], argument);
    t.regex(refused.stderr, /bogus[^]*\n\nusage: npm run dev\n/);
  }
});

test('npm run cli says what to start where nothing runs', async (t) => {
  for (const [command, expected] of [
    ['queues', 78],
    ['doctor', 1],
    ['--help', 0],
  ] as const) {
    const { code, stderr } = await run(t, 'dev/scripts/cli', [command]);
    t.is(code, expected, command);
    t.is(stderr.includes('`npm run dev` is not running'), code !== 0, command);
  }
});

test('npm run tour says what to start where nothing runs, or no longer', async (t) => {
  const { port, release } = await claimPort(0);
  t.teardown(release);
  const killed = JSON.stringify({ api: `http://${loopback}:${port}` });
  for (const stackFile of [undefined, killed]) {
    const { code, stdout, stderr } = await run(t, 'dev/tour/main', [], { stackFile });
    t.deepEqual([code, stdout], [78, '']);
    t.is(stderr, '`npm run dev` is not running here. Start it first.\n');
  }
});

test('npm run tour explains itself, refuses what it does not know, and names the browser that it lacks', async (t) => {
  const help = await run(t, 'dev/tour/main', ['--help']);
  t.deepEqual([help.code, help.stderr], [0, '']);
  t.regex(help.stdout, /^usage: npm run tour -- \[--write\]\n[^]*docs\/images[^]*CHROMIUM/);
  const refused = await run(t, 'dev/tour/main', ['--bogus']);
  t.deepEqual([refused.code, refused.stdout], [64, '']);

  const api = createHttpServer((_request, response) => response.end()).listen(0, loopback);
  t.teardown(() => api.close());
  await once(api, 'listening');
  const { port } = api.address() as AddressInfo;
  const stackFile = JSON.stringify({ api: `http://${loopback}:${port}` });
  const env = { CHROMIUM: '/nonexistent/chromium' };
  const { code, stdout, stderr } = await run(t, 'dev/tour/main', [], { stackFile, env });
  t.deepEqual([code, stdout], [78, '']);
  t.regex(
    stderr,
    /^The tour needs Chromium, and \/nonexistent\/chromium .*ENOENT.* set CHROMIUM .*\n$/,
  );
});

test('npm run tour leaves the README’s screenshots alone unless it is told to write them', (t) => {
  t.is(readmeFolder(true), join(projectRoot, 'docs', 'images'));
  t.is(readmeFolder(false), join(readDevEnv().dataDir, 'tour', 'readme'));
});

test('npm run smoke explains itself, and refuses what it does not know', async (t) => {
  const help = await run(t, 'dev/smoke/main', ['--help']);
  t.deepEqual([help.code, help.stderr], [0, '']);
  t.regex(help.stdout, /^usage: npm run smoke -- \[URL\][^]*--mailbox URL[^]*SMOKE_EMAIL/);
  const refused = await run(t, 'dev/smoke/main', ['--bogus']);
  t.deepEqual([refused.code, refused.stdout], [64, '']);
  t.regex(refused.stderr, /bogus[^]*\n\nusage: npm run smoke/);
});

test('npm run smoke says that nothing answers, before it asks for a mailbox', async (t) => {
  const { port, release } = await claimPort(0);
  t.teardown(release);
  const url = `http://${loopback}:${port}`;
  const { code, stderr } = await run(t, 'dev/smoke/main', [url]);
  t.is(code, 1);
  t.regex(stderr, /^Nothing answers at http:\S+: .*ECONNREFUSED/);
  t.notRegex(stderr, /mailbox/);
});

test('a claimed port is none that the system gives away before its server listens', async (t) => {
  const claims = await Promise.all(Array.from({ length: 20 }, () => claimPort(0)));
  for (const { release } of claims) t.teardown(release);
  const ports = claims.map(({ port }) => port);
  t.is(new Set(ports).size, ports.length);
  for (let i = 0; i < ports.length; i += 1) {
    const server = createServer().listen(0, loopback);
    t.teardown(() => server.close());
    await once(server, 'listening');
    const given = (server.address() as AddressInfo).port;
    t.true(given > Math.max(...ports), `${given} ${ports.join(' ')}`);
  }
});

/** Runs a program in an environment that names no servers; `files` is what is in its data folder afterwards. */
async function run(
  scope: Scope,
  program: string,
  args: readonly string[],
  { stackFile, env: more }: { stackFile?: string | undefined; env?: Record<string, string> } = {},
) {
  const dataDir = await mkdtemp(join(tmpdir(), 'rollcall-dev-'));
  scope.teardown(() => rm(dataDir, { recursive: true, force: true }));
  if (stackFile !== undefined) await writeFile(join(dataDir, 'stack.json'), stackFile);
  const env = { PATH: readDevEnv().searchPath.join(':'), DEV_DATA_DIR: dataDir, ...more };
  const running = startProgram(`dist/${program}.js`, env, scope, args);
  const { code } = await running.waitForExit();
  const files = await readdir(dataDir);
  return { code, stdout: running.stdout(), stderr: running.stderr(), files };
}
