import type { EnvironmentSettings } from '../environment.js';

/** Built like production, in its smallest sizes. */
export const staging: EnvironmentSettings = {
  name: 'staging',
  region: 'eu-central-1',
  branch: 'staging',
  zone: { id: 'Z00000000000000EXAMPLE', name: 'example.com' },
  domain: 'rollcall-staging.example.com',
  cnamePrefix: 'rollcall-example-staging',
  network: { cidr: '10.21.0.0/16', natGateways: 1 },
  database: {
    instance: 't4g.micro',
    isMultiAz: true,
    storageGib: 20,
    backupDays: 7,
    isKept: false,
  },
  cache: { instance: 'cache.t4g.micro', replicas: 1 },
  search: { instance: 't3.small.search', nodes: 1, storageGib: 10 },
  web: { instance: 't3.small', min: 1, max: 2 },
  worker: { instance: 't3.small', min: 1 },
  mail: { from: 'no-reply@staging.example.com', rate: 1 },
  operators: ['ops@example.com'],
  isApproved: false,
};
