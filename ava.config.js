/** The tests run compiled, each file in a process of its own: native modules and signals need one. */
export default {
  files: ['test/**/*.test.ts'],
  typescript: { rewritePaths: { 'test/': 'dist/test/' }, compile: false },
  nodeArguments: ['--enable-source-maps'],
  workerThreads: false,
  // Of two cores: a test file waits for its API, its worker and the servers half of the time.
  concurrency: 4,
  timeout: '5m',
};
