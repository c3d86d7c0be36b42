// Runs a program of dev/ on a fresh clone: installs what package-lock.json asks for, builds, and starts dist/dev/NAME.js.
// It needs nothing but Node and npm, and says nothing when there is nothing to do.
//
//   node dev/bootstrap.mjs NAME [argument ...]

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
const buildStamp = join(root, 'dist', '.rollcall-sources');
/** Top-level folders that hold nothing to build. */
const notSources = ['node_modules', 'dist', 'coverage', 'docs'];

/** Something that the person at the terminal is told in one sentence. */
class Failure extends Error {
  constructor(message, exitCode) {
    super(message);
    this.exitCode = exitCode;
  }
}

let child;
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
  if (name === undefined || !/^[a-z-]+$/.test(name)) {
    throw new Failure('usage: node dev/bootstrap.mjs NAME [argument ...]', 64);
  }
  if (!isInstalled()) await install();
  await build();
  const script = join('dist', 'dev', `${name}.js`);
  return run(process.execPath, ['--enable-source-maps', script, ...args], 'inherit');
}

function refuseOldNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) return;
  throw new Failure(
    `Rollcall needs Node ${oldestNode.join('.')} or newer; this is ${process.versions.node}.`,
    1,
  );
}

/** True if node_modules holds what package-lock.json asks for, whoever put it there. */
function isInstalled() {
  const hash = hashOf('package-lock.json');
  if (read(installStamp) === hash) return true;
  const wanted = packagesIn(join(root, 'package-lock.json'));
  const present = packagesIn(join(root, 'node_modules', '.package-lock.json'));
  if (present === undefined) return false;
  const isSame = Object.entries(wanted).every(([path, entry]) => {
    if (path === '' || entry.link) return true;
    const found = present[path];
    // Optional packages are for other systems as a rule, and not installed here.
    if (found === undefined) return entry.optional === true || entry.devOptional === true;
    return found.version === entry.version && found.integrity === entry.integrity;
  });
  if (isSame) writeFileSync(installStamp, hash);
  return isSame;
}

async function install() {
  // Not on stdout: that belongs to whoever asked for --json.
  console.error('Installing dependencies (once) ...');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const code = await run(
    npm,
    // NODE_ENV=production in the caller's environment must not leave out what builds and runs the stack.
    ['ci', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    'quiet',
  );
  if (code !== 0) throw new Failure('npm ci failed; see above.', code);
  writeFileSync(installStamp, hashOf('package-lock.json'));
}

async function build() {
  const sources = fingerprintOfSources();
  if (read(buildStamp) === sources) return;
  removeOrphans();
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const code = await run(npm, ['run', '--silent', 'build'], 'quiet');
  if (code !== 0) throw new Failure('The build failed; see above.', code);
  writeFileSync(buildStamp, sources);
}

/** Takes compiled files away whose source is gone: routes and tests are found by their names. */
function removeOrphans() {
  const dist = join(root, 'dist');
  if (!existsSync(dist)) return;
  for (const file of readdirSync(dist, { recursive: true })) {
    const source = /^(.+)\.js(?:\.map)?$/.exec(file)?.[1];
    if (source !== undefined && !existsSync(join(root, `${source}.ts`))) rmSync(join(dist, file));
  }
}

/** Changes with the name, size or time of any file that a build reads. */
function fingerprintOfSources() {
  const hash = createHash('sha256').update(hashOf('package-lock.json'));
  const add = (path) => {
    for (const entry of readdirSync(join(root, path), { withFileTypes: true })) {
      const inner = join(path, entry.name);
      if (entry.isDirectory()) {
        if (!entry.name.startsWith('.') && !notSources.includes(inner)) add(inner);
      } else if (/\.(?:ts|json)$/.test(entry.name)) {
        const { size, mtimeMs } = statSync(join(root, inner));
        hash.update(`${inner} ${size} ${mtimeMs}\n`);
      }
    }
  };
  add('');
  return hash.digest('hex');
}

/** Runs a command to its end, and resolves to its exit code. What a quiet one prints is shown if it fails. */
function run(command, commandArgs, output) {
  return new Promise((resolve, reject) => {
    if (stoppedBy !== undefined) throw new Failure(`stopped by ${stoppedBy}`, 1);
    child = spawn(command, commandArgs, {
      cwd: root,
      // The channel closes when this process is killed: so the program learns of it.
      stdio:
        output === 'quiet' ? ['ignore', 'pipe', 'pipe'] : ['inherit', 'inherit', 'inherit', 'ipc'],
    });
    const said = [];
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk) => said.push(chunk));
    child.once('error', (error) =>
      reject(new Failure(`${command} cannot be started: ${error.message}`, 1)),
    );
    child.once('close', (code, signal) => {
      child = undefined;
      const exitCode = code ?? 128 + signalNumber(signal);
      if (exitCode !== 0 && stoppedBy === undefined) process.stderr.write(Buffer.concat(said));
      resolve(exitCode);
    });
  });
}

/** Hands each signal on once, though a single Ctrl-C reaches this process from the terminal and from npm. */
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
 * npm that is killed, or that ends by a signal which it does not forward, leaves this process behind. The scripts of
 * package.json begin with `exec`, or there would be a shell between the two that stays.
 */
function stopWithParent() {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    stop('SIGTERM');
  }, parentCheckMs).unref();
}

function stop(signal) {
  stoppedBy = signal;
  child?.kill(signal);
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
