import { hostname } from 'node:os';

/** The name of this process in jobs, deliveries and the schedule. */
export const workerName = `${hostname()}:${process.pid}`;
