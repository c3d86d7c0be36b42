/**
 * Who may import whom. The folders are deployable units, so a wrong import is a wrong image.
 * Read with the swc parser: the default one finds no module at all under TypeScript 7 and passes.
 */

/** The rule that modules in `folder` import, of our own folders, only those in `allowed`. */
function importsOnly(folder, ...allowed) {
  return {
    name: `imports-of-${folder}`,
    severity: 'error',
    from: { path: `^${folder}/` },
    to: { dependencyTypes: ['local'], pathNot: `^(${[folder, ...allowed].join('|')})/` },
  };
}

module.exports = {
  forbidden: [
    importsOnly('shared'),
    importsOnly('api', 'shared'),
    importsOnly('workers', 'shared'),
    importsOnly('migrations', 'shared'),
    importsOnly('cli', 'api', 'shared'),
    {
      name: 'cli-uses-the-services',
      comment:
        'Services and nothing else. Those for operators live in api/ too, so that a console could show over HTTP what ' +
        'the command line prints.',
      severity: 'error',
      from: { path: '^cli/' },
      to: { path: '^api/', pathNot: '^api/.+\\.service\\.ts$' },
    },
    {
      name: 'nobody-imports-a-test',
      severity: 'error',
      from: { pathNot: '^test/' },
      to: { path: '^test/' },
    },
    {
      name: 'nobody-imports-a-main',
      comment: 'Importing it would start the process.',
      severity: 'error',
      from: {},
      to: { path: '(^|/)main\\.ts$' },
    },
    {
      name: 'api-leaves-queues-mail-and-aws-to-workers',
      severity: 'error',
      from: { path: '^api/' },
      to: { path: 'node_modules/(bullmq|nodemailer|@aws-sdk)/' },
    },
    {
      name: 'services-know-nothing-of-http',
      comment: 'Nor does anything that they import, directly or not.',
      severity: 'error',
      from: { path: '^api/.+\\.service\\.ts$' },
      to: { path: '^api/http/|node_modules/(@types/)?(express|passport)/', reachable: true },
    },
    {
      name: 'only-the-edge-of-a-feature-knows-http',
      comment:
        'Only what handles requests and renders responses. The rest of a feature serves the command line too.',
      severity: 'error',
      from: {
        path: '^api/[^/]+/',
        pathNot:
          '^api/(http|openapi|console)/|\\.(routes|pages|schemas)\\.ts$|/(require-admin|authenticated-reads|limit-requests)\\.ts$',
      },
      to: { path: '^api/http/' },
    },
    {
      name: 'routes-never-touch-models',
      severity: 'error',
      from: { path: '^api/.+\\.routes\\.ts$' },
      to: { path: '^shared/models/|node_modules/(sequelize|sequelize-typescript)/' },
    },
    {
      name: 'log-shipping-is-opened-in-one-place',
      comment: 'Its README says what it promises; nothing outside depends on how it does it.',
      severity: 'error',
      from: { pathNot: '^(shared/log-shipping|test)/' },
      to: { path: '^shared/log-shipping/', pathNot: '/open-logging\\.ts$' },
    },
    {
      name: 'production-needs-no-dev-dependency',
      severity: 'error',
      from: {
        path: '^(api|workers|shared|migrations|cli)/',
        pathNot: '^api/openapi/(build|write)\\.ts$',
      },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-unlisted-package',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'every-import-resolves',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-cycle',
      comment: 'Models that are associated both ways name one another; nothing else may.',
      severity: 'error',
      from: { pathNot: '^shared/models/' },
      to: { circular: true },
    },
    {
      name: 'no-orphan',
      severity: 'error',
      from: { orphan: true, pathNot: '^(shared/glossary\\.ts$|api/console/assets/)' },
      to: {},
    },
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    // Programs of their own, with packages of their own.
    exclude: { path: '^(bench/baselines|infra)/' },
    enhancedResolveOptions: {
      conditionNames: ['import', 'node', 'default'],
      exportsFields: ['exports'],
    },
  },
};
