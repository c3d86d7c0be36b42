import type { EnvironmentSettings } from '../environment.js';

/** As cheap as it gets: one of everything, nothing kept. */
export const development: EnvironmentSettings = {
  name: 'development',
  region: 'eu-central-1',
  branch: 'development',
  zone: { id: 'Z00000000000000EXAMPLE', name: 'example.com' },
  domain: 'rollcall-dev.example.com',
  cnamePrefix: 'rollcall-example-development',
  network: { cidr: '10.20.0.0/16', natGateways: 1 },
  database: {
    instance: 't4g.micro',
    isMultiAz: false,
    storageGib: 20,
    backupDays: 1,
    isKept: false,
  },
  cache: { instance: 'cache.t4g.micro', replicas: 0 },
  search: { instance: 't3.small.search', nodes: 1, storageGib: 10 },
  web: { instance: 't3.small', min: 1, max: 2 },
  worker: { instance: 't3.small', min: 1 },
  mail: { from: 'no-reply@dev.example.com', rate: 1 },
  operators: ['ops@example.com'],
  isApproved: false,
};
