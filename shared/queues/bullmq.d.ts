/**
 * The modules of BullMQ that are imported by path. Its index also loads job flows, the sandbox and back ends on PostgreSQL
 * and Valkey, which takes as long as the rest of the package. `test/contract/loaded-packages.test.ts` fails when it is loaded.
 */
declare module 'bullmq/dist/cjs/classes/queue.js' {
  export { Queue } from 'bullmq';
}

declare module 'bullmq/dist/cjs/classes/worker.js' {
  export { Worker } from 'bullmq';
}

declare module 'bullmq/dist/cjs/classes/errors/index.js' {
  export { DelayedError, RateLimitError, UnrecoverableError, WaitingError } from 'bullmq';
}
