import * as z from 'zod';

export { Readiness } from '../../shared/health/readiness.js';

export const Home = z.object({ name: z.string(), version: z.string(), docs: z.string() });

export const Live = z.object({ status: z.literal('alive') });
