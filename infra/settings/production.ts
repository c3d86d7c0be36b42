import type { EnvironmentSettings } from '../environment.js';

/** Two of everything that serves; what holds data is kept. */
export const production: EnvironmentSettings = {
  name: 'production',
  region: 'eu-central-1',
  branch: 'production',
  zone: { id: 'Z00000000000000EXAMPLE', name: 'example.com' },
  domain: 'rollcall.example.com',
  cnamePrefix: 'rollcall-example-production',
  network: { cidr: '10.22.0.0/16', natGateways: 2 },
  database: {
    instance: 't4g.medium',
    isMultiAz: true,
    storageGib: 50,
    backupDays: 30,
    isKept: true,
  },
  cache: { instance: 'cache.t4g.small', replicas: 1 },
  search: { instance: 't3.medium.search', nodes: 2, storageGib: 50 },
  web: { instance: 't3.small', min: 2, max: 6 },
  worker: { instance: 't3.small', min: 2 },
  mail: { from: 'no-reply@example.com', rate: 12 },
  operators: ['ops@example.com'],
  isApproved: true,
};
