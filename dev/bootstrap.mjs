// Starts a program on a fresh clone: installs what package-lock.json lists, builds, and runs the compiled program.
// It needs nothing but Node and npm, and prints nothing when there is nothing to install or build.
//
//   node dev/bootstrap.mjs NAME [argument ...]
//   node dev/bootstrap.mjs --node NAME 24 [argument ...]     the same under another Node, which is fetched once

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const oldestNode = [20, 19];
const sameKeyPressMs = 500;
const parentCheckMs = 250;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const installStamp = join(root, 'node_modules', '.rollcall-lock');
/** What npm has installed; written by it at the end. */
const npmStamp = join(root, 'node_modules', '.package-lock.json');
const buildStamp = join(root, 'dist', '.rollcall-sources');
/** Folders that hold nothing to build. */
const notSources = [
  'node_modules',
  'dist',
  'coverage',
  'docs',
  'infra',
  join('bench', 'baselines'),
];
/** Makes the bundles; the other sources are TypeScript and JSON. */
const bundler = 'bundle.mjs';
/** What the build copies. */
const assets = join('api', 'console', 'assets');
/** Written by the build itself. */
const built = join('api', 'openapi', 'openapi.json');
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';

/** An expected failure: its message is printed without a stack. */
class Failure extends Error {
  constructor(message, exitCode) {
    super(message);
    this.exitCode = exitCode;
  }
}

let child;
let isInstalling = false;
let stoppedBy;
forwardSignals();
stopWithParent();
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  if (stoppedBy === undefined) console.error(error.message);
  process.exitCode = stoppedBy === undefined ? error.exitCode : 128 + signalNumber(stoppedBy);
}

async function main([name, ...args]) {
  refuseOldNode();
  if (name === '--node') return runUnder(args);
  const program = findProgram(name);
  if (!isInstalled()) await install();
  await build();
  return run(process.execPath, ['--enable-source-maps', `dist/${program}.js`, ...args], 'inherit');
}

/** Starts this program again under another Node, which then is everybody's: builds, tools, tests and the processes they start. */
async function runUnder([name = '', major = '', ...args]) {
  const { otherNode, environmentWith } = await import('./other-node.mjs');
  const folder = otherNode(root, major, (problem, exitCode = 1) => {
    throw new Failure(problem, exitCode);
  });
  const self = fileURLToPath(import.meta.url);
  return run(join(folder, 'node'), [self, name, ...args], 'inherit', environmentWith(folder));
}

/** The path, without extension, of a program in dev/ or of a measurement in bench/: a file of dev/scripts/ or a folder's main. */
function findProgram(name) {
  const candidates = [`dev/scripts/${name}`, `dev/${name}/main`, `bench/${name}/main`];
  const program = candidates.find((path) => existsSync(join(root, `${path}.ts`)));
  if (program !== undefined) return program;
  throw new Failure('usage: node dev/bootstrap.mjs NAME [argument ...]', 64);
}

function refuseOldNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) return;
  throw new Failure(
    `Rollcall needs Node ${oldestNode.join('.')} or newer; this is ${process.versions.node}.`,
    1,
  );
}

/** True if node_modules holds what package-lock.json lists, whether this program installed it or not. */
function isInstalled() {
  const hash = hashOf('package-lock.json');
  if (read(installStamp) === hash) return true;
  const wanted = packagesIn(join(root, 'package-lock.json'));
  const present = packagesIn(npmStamp);
  if (present === undefined) return false;
  const isSame = Object.entries(wanted).every(([path, entry]) => {
    if (path === '' || entry.link) return true;
    const found = present[path];
    // Optional packages are mostly for other platforms, and not installed here.
    if (found === undefined) return entry.optional === true || entry.devOptional === true;
    return found.version === entry.version && found.integrity === entry.integrity;
  });
  if (isSame) writeFileSync(installStamp, hash);
  return isSame;
}

async function install() {
  // Not on stdout: that carries the program's output, which may be JSON.
  console.error('Installing dependencies (once) ...');
  // What they say is not true from now on, and until the end of an installation that may be interrupted.
  for (const stamp of [installStamp, npmStamp]) rmSync(stamp, { force: true });
  isInstalling = true;
  const code = await run(
    npm,
    // NODE_ENV=production in the environment must not leave out the packages that build and run the stack.
    ['ci', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    'quiet',
  );
  isInstalling = false;
  if (code !== 0) throw new Failure('npm ci failed; see above.', code);
  writeFileSync(installStamp, hashOf('package-lock.json'));
}

async function build() {
  const sources = fingerprintOfSources();
  if (read(buildStamp) === sources) return;
  removeOrphans();
  const code = await run(npm, ['run', '--silent', 'build'], 'quiet');
  if (code !== 0) throw new Failure('The build failed; see above.', code);
  writeFileSync(buildStamp, sources);
}

/** Removes compiled files whose source is gone: routes and tests are found by file name. */
function removeOrphans() {
  const dist = join(root, 'dist');
  if (!existsSync(dist)) return;
  for (const file of readdirSync(dist, { recursive: true })) {
    const source = /^(.+)\.js(?:\.map)?$/.exec(file)?.[1];
    if (source !== undefined && !existsSync(join(root, `${source}.ts`))) rmSync(join(dist, file));
  }
}

function isSource(path) {
  const isRead = /\.(?:ts|json)$/.test(path) || path === bundler || path.startsWith(assets);
  return isRead && path !== built;
}

/** Changes with the name, size or modification time of any file that a build reads. */
function fingerprintOfSources() {
  // The bundles' compiled code is for one version of Node.
  const hash = createHash('sha256').update(`${hashOf('package-lock.json')} ${process.version}\n`);
  const add = (path) => {
    for (const entry of readdirSync(join(root, path), { withFileTypes: true })) {
      const inner = join(path, entry.name);
      if (entry.isDirectory()) {
        if (!entry.name.startsWith('.') && !notSources.includes(inner)) add(inner);
      } else if (isSource(inner)) {
        const { size, mtimeMs } = statSync(join(root, inner));
        hash.update(`${inner} ${size} ${mtimeMs}\n`);
      }
    }
  };
  add('');
  return hash.digest('hex');
}

/** Runs a command and resolves to its exit code. The output of a quiet one is printed only if it fails. */
function run(command, commandArgs, output, env) {
  return new Promise((resolve, reject) => {
    if (stoppedBy !== undefined) throw new Failure(`stopped by ${stoppedBy}`, 1);
    child = spawn(command, commandArgs, {
      cwd: root,
      env,
      // The IPC channel closes when this process is killed, which tells the program to stop.
      stdio:
        output === 'quiet' ? ['ignore', 'pipe', 'pipe'] : ['inherit', 'inherit', 'inherit', 'ipc'],
    });
    const captured = [];
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk) => captured.push(chunk));
    child.once('error', (error) =>
      reject(new Failure(`${command} cannot be started: ${error.message}`, 1)),
    );
    child.once('close', (code, signal) => {
      child = undefined;
      const exitCode = code ?? 128 + signalNumber(signal);
      if (exitCode !== 0 && stoppedBy === undefined) process.stderr.write(Buffer.concat(captured));
      resolve(exitCode);
    });
  });
}

/** Forwards each signal once, though a single Ctrl-C reaches this process from the terminal and from npm. */
function forwardSignals() {
  const lastAt = {};
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      const now = Date.now();
      if (now - (lastAt[signal] ?? 0) < sameKeyPressMs) return;
      lastAt[signal] = now;
      stop(signal);
    });
  }
}

/**
 * Stops when npm is gone: if it is killed, or ends by a signal that it does not forward, this process is orphaned.
 * The scripts in package.json begin with `exec`, since a shell between the two would outlive npm and hide its end.
 */
function stopWithParent() {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    stop('SIGTERM');
  }, parentCheckMs).unref();
}

/** A second stop during an installation ends npm, which else takes half a minute to remove what it has installed. */
function stop(signal) {
  const isSecond = stoppedBy !== undefined;
  stoppedBy = signal;
  if (isInstalling && !isSecond)
    console.error(
      'Stopping: npm removes what it has installed. Ctrl-C again ends it at once; the next start installs afresh.',
    );
  child?.kill(isInstalling && isSecond ? 'SIGKILL' : signal);
}

function signalNumber(signal) {
  return { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 }[signal] ?? 1;
}

function packagesIn(file) {
  const text = read(file);
  return text === undefined ? undefined : JSON.parse(text).packages;
}

function hashOf(file) {
  return createHash('sha256')
    .update(readFileSync(join(root, file)))
    .digest('hex');
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
