import * as z from 'zod';
import { defineJob } from '../../shared/queues/job-contract.js';
import type { QueueName } from '../../shared/queues/registry.js';

/** A kind of job that carries anything: for what no producer of ours would add. */
export const anyJob = <Q extends QueueName>(queue: Q, name = 'any') =>
  defineJob({ queue, name, schema: z.unknown() });
