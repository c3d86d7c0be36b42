/** They take longest, or wait for what is down or late to come back: begun first, others run meanwhile. */
const slowest = [
  'stores-[0-9]',
  'kill',
  'log-spool',
  'chaos',
  'fuzz',
  'http-server',
  'log-shipping',
  'stopping',
  'start-worker',
  'redis-down',
  'worker-process',
];
const rank = (file) => {
  const place = slowest.findIndex((name) => new RegExp(`/${name}\\.test\\.[jt]s$`).test(file));
  return place < 0 ? slowest.length : place;
};

/** The tests run compiled, each file in a process of its own: native modules and signals need one (docs/adr/0006, 0038). */
export default {
  files: ['test/**/*.test.ts', 'dist/groups/*.test.js'],
  typescript: { rewritePaths: { 'test/': 'dist/test/' }, compile: false },
  // Threads that help to collect garbage would take their core from other test files.
  nodeArguments: ['--enable-source-maps', '--single-threaded-gc'],
  require: ['./dist/test/helpers/measure-coverage.js'],
  workerThreads: false,
  // Of two cores: a test file waits for its API, its worker and the servers most of the time.
  concurrency: 6,
  sortTestFiles: (one, other) => rank(one) - rank(other) || one.localeCompare(other),
  timeout: '5m',
};
