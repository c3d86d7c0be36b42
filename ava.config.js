/** The tests run compiled, each file in a process of its own: native modules and signals need one. */
export default {
  files: ['test/**/*.test.ts'],
  typescript: { rewritePaths: { 'test/': 'dist/test/' }, compile: false },
  nodeArguments: ['--enable-source-maps'],
  workerThreads: false,
  // The API, the worker, Postgres and Redis want their share of the cores too.
  concurrency: 3,
  timeout: '5m',
};
