/** Times of the processes that deployments depend on, in milliseconds; `npm run check:deploy` compares them. */
export const deadlines = {
  api: {
    /** From SIGTERM to the end of the process. */
    stopMs: 15_000,
    /** Longer than the idle time-out of an AWS load balancer (60 s), which would answer 502 for a closed connection. */
    keepAliveMs: 65_000,
    /** For a whole request to arrive. */
    requestMs: 15_000,
  },
  worker: {
    stopMs: 25_000,
    /** Longer than the worker tier's daemon keeps idle connections: a minute. */
    keepAliveMs: 75_000,
    /** How long jobs may take after SIGUSR2 before they are returned to the queue. */
    drainMs: 110_000,
  },
} as const;
