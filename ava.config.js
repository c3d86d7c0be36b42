/** They wait most, for what is down or late to come back: begun first, others run meanwhile. */
const slowest = [
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
  const place = slowest.findIndex((name) => file.endsWith(`/${name}.test.ts`));
  return place < 0 ? slowest.length : place;
};

/** The tests run compiled, each file in a process of its own: native modules and signals need one. */
export default {
  files: ['test/**/*.test.ts'],
  typescript: { rewritePaths: { 'test/': 'dist/test/' }, compile: false },
  nodeArguments: ['--enable-source-maps'],
  require: ['./dist/test/helpers/measure-coverage.js'],
  workerThreads: false,
  // Of two cores: a test file waits for its API, its worker and the servers half of the time.
  concurrency: 4,
  sortTestFiles: (one, other) => rank(one) - rank(other) || one.localeCompare(other),
  timeout: '5m',
};
