import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { Match, Template } from 'aws-cdk-lib/assertions';
import {
  checkSettings,
  githubSubject,
  inServiceAtLeast,
  workersAtMost,
  type EnvironmentSettings,
} from '../environment.js';
import { smtpPassword } from '../bin/smtp-password.js';
import { environments, repository } from '../settings/index.js';
import { acknowledge } from '../stacks/acknowledged.js';
import { bundleAlarms } from '../stacks/alarms.js';
import { databaseRoles, VALKEY_RULES } from '../stacks/data.js';
import { METRICS_NAMESPACE } from '../stacks/service.js';
import { addStacks } from '../stacks/stacks.js';
import { allows, resolved, type ServiceRequest } from './policies.js';
import { projectRoot, synthesize, type Resource } from './synthesis.js';

const { findings, templates } = synthesize((app) => {
  addStacks(app, { environments, repository });
  acknowledge(app);
});
const [development, , production] = environments as [
  EnvironmentSettings,
  EnvironmentSettings,
  EnvironmentSettings,
];
const templateOf = (environment: EnvironmentSettings, part: string): Template =>
  Template.fromJSON(templates[`rollcall-${environment.name}-${part}`] as never);

const accountTemplate = Template.fromJSON(templates['rollcall-account'] as never);

/** What the policies of a role allow, by its logical name. */
const statementsOf = (template: Template, role: string) =>
  (Object.values(template.findResources('AWS::IAM::Policy')) as (Resource & PolicyDocument)[])
    .filter(({ Properties }) => (resolved(Properties['Roles']) as string[]).includes(role))
    .flatMap(({ Properties }) => Properties.PolicyDocument.Statement);

const OVER_TLS = { 'aws:SecureTransport': 'true' };

interface OptionSetting {
  readonly Namespace: string;
  readonly OptionName: string;
  readonly Value: unknown;
}

function optionsOf(environment: EnvironmentSettings, tier: 'Web' | 'Worker'): OptionSetting[] {
  const found = templateOf(environment, 'service').findResources(
    'AWS::ElasticBeanstalk::Environment',
  );
  const resource = Object.entries(found).find(([id]) => id === tier)?.[1] as Resource | undefined;
  return (resource?.Properties?.['OptionSettings'] ?? []) as OptionSetting[];
}

/** Whether a service may publish to a topic: the topic and the key that encrypts it must both let it. */
function mayPublish(
  environment: EnvironmentSettings,
  topic: string,
  service: string,
  keys: ServiceRequest['keys'],
): boolean {
  const alarms = templateOf(environment, 'alarms');
  const encryption = alarms.findResources('AWS::SNS::Topic')[topic]?.['Properties'].KmsMasterKeyId;
  const [output] = Object.values(
    templateOf(environment, 'data').findOutputs('*', {
      Export: { Name: encryption['Fn::ImportValue'] },
    }),
  );
  const [key] = output?.['Value']['Fn::GetAtt'];
  const keyPolicy = templateOf(environment, 'data').findResources('AWS::KMS::Key')[key];
  const topicPolicies = Object.values(alarms.findResources('AWS::SNS::TopicPolicy'));
  return (
    topicPolicies.some(
      ({ Properties }) =>
        (resolved(Properties.Topics) as string[]).includes(topic) &&
        allows(Properties.PolicyDocument, { service, action: 'sns:Publish', keys }),
    ) &&
    ['kms:Decrypt', 'kms:GenerateDataKey'].every((action) =>
      allows(keyPolicy?.['Properties'].KeyPolicy, { service, action, keys }),
    )
  );
}

const valueOf = (options: readonly OptionSetting[], name: string): unknown =>
  options.find(({ OptionName }) => OptionName === name)?.Value;

test('cdk-nag and CloudFormation’s rules find nothing that is not acknowledged', () => {
  assert.deepEqual(findings, []);
  assert.equal(Object.keys(templates).length, 1 + environments.length * 7);
});

test('no account is named, no secret is written, and no function runs', () => {
  for (const [name, template] of Object.entries(templates)) {
    const text = JSON.stringify(template);
    // 12 digits that are not a part of a longer number or name.
    assert.deepEqual(text.match(/(?<![\w-])\d{12}(?![\w-])/g), null, name);
    assert.doesNotMatch(text, /AWS::Lambda::Function|AWS::IAM::AccessKey/, name);
  }
});

test('PostgreSQL logs neither the values of a statement nor the row that an error is about', () => {
  for (const environment of environments)
    templateOf(environment, 'data').hasResourceProperties('AWS::RDS::DBParameterGroup', {
      Parameters: Match.objectLike({
        log_parameter_max_length: '0',
        log_error_verbosity: 'terse',
      }),
    });
});

test('settings that contradict one another are refused', () => {
  const refused: readonly [Partial<EnvironmentSettings>, RegExp][] = [
    [{ domain: 'rollcall.example.org' }, /not in the zone/],
    [{ mail: { from: 'no-reply@example.org', rate: 14 } }, /not in the zone/],
    [{ worker: { instance: 't3.small', min: 9 } }, /worker\.min exceeds/],
    [{ web: { instance: 't3.small', min: 3, max: 2 } }, /exceeds/],
    [{ web: { instance: 't3.small', min: 1, max: 2 } }, /two instances/],
    [{ operators: [] }, /nobody/],
    [{ cache: { instance: 'cache.t4g.small', replicas: 0 } }, /two zones/],
  ];
  for (const [change, problem] of refused)
    assert.throws(() => checkSettings({ ...production, ...change }), problem);
});

test('as many workers at most as reach the rate, and one more', () => {
  assert.deepEqual([1, 14, 58, 300].map(workersAtMost), [2, 2, 3, 7]);
});

test('an instance can be replaced where as many serve at least as at most', () => {
  const fleet = { instance: 't3.small', min: 2, max: 2 };
  checkSettings({ ...production, web: fleet });
  assert.equal(inServiceAtLeast(fleet), 1);
  assert.equal(inServiceAtLeast({ ...fleet, max: 6 }), 2);
  for (const environment of environments) {
    const options = optionsOf(environment, 'Web');
    assert.equal(
      valueOf(options, 'MinInstancesInService'),
      String(inServiceAtLeast(environment.web)),
    );
  }
});

for (const environment of environments) {
  for (const tier of ['web', 'worker'] as const) {
    test(`${environment.name}: the ${tier} tier has each option that an account must add`, () => {
      const options = optionsOf(environment, tier === 'web' ? 'Web' : 'Worker');
      const named = options.map(({ Namespace, OptionName }) => `${Namespace} ${OptionName}`);
      assert.equal(new Set(named).size, named.length);
      const file = join(projectRoot, `deploy/${tier}/options.example.json`);
      const examples = JSON.parse(readFileSync(file, 'utf8')) as OptionSetting[];
      for (const { Namespace, OptionName } of examples)
        assert.ok(named.includes(`${Namespace} ${OptionName}`), `${Namespace} ${OptionName}`);
      // What the product reads is the same either way.
      const readBy = (all: readonly OptionSetting[]) =>
        all
          .filter(({ Namespace }) => Namespace.includes(':application:environment'))
          .map(({ OptionName }) => OptionName)
          .toSorted();
      assert.deepEqual(readBy(examples), readBy(options));
    });

    test(`${environment.name}: what the ${tier} tier reads fits into an environment`, () => {
      const ACCOUNT_DATA = 'x'.repeat(120);
      const options = optionsOf(environment, tier === 'web' ? 'Web' : 'Worker').filter(
        ({ Namespace }) => Namespace.startsWith('aws:elasticbeanstalk:application:environment'),
      );
      const texts = options.map(({ OptionName, Value }) => {
        assert.match(OptionName, /^[A-Z_][A-Z0-9_]{0,127}$/);
        const text = typeof Value === 'string' ? Value : ACCOUNT_DATA;
        assert.ok(text.length <= 256 && !text.includes('$'), OptionName);
        return `${OptionName}=${text}`;
      });
      assert.ok(texts.join('\n').length <= 4_096);
    });
  }

  test(`${environment.name}: secrets reach Elastic Beanstalk by reference alone`, () => {
    for (const tier of ['Web', 'Worker'] as const) {
      for (const { Namespace, OptionName, Value } of optionsOf(environment, tier)) {
        if (/PASSWORD|PEPPER|SECRET|REDIS_URL|USERNAME/.test(OptionName))
          assert.equal(
            Namespace,
            'aws:elasticbeanstalk:application:environmentsecrets',
            OptionName,
          );
        if (Namespace === 'aws:elasticbeanstalk:application:environmentsecrets')
          assert.match(JSON.stringify(Value), /Fn::ImportValue/);
      }
    }
  });

  test(`${environment.name}: PostgreSQL speaks TLS alone, is encrypted, private and backed up`, () => {
    const template = templateOf(environment, 'data');
    template.hasResourceProperties('AWS::RDS::DBInstance', {
      Engine: 'postgres',
      EngineVersion: Match.stringLikeRegexp('^18'),
      StorageEncrypted: true,
      PubliclyAccessible: false,
      MultiAZ: environment.database.isMultiAz,
      BackupRetentionPeriod: environment.database.backupDays,
      DeletionProtection: environment.database.isKept,
      CACertificateIdentifier: 'rds-ca-rsa2048-g1',
    });
    template.hasResourceProperties('AWS::RDS::DBParameterGroup', {
      Parameters: Match.objectLike({ 'rds.force_ssl': '1' }),
    });
  });

  test(`${environment.name}: Valkey speaks TLS alone, evicts nothing, and knows one user`, () => {
    const template = templateOf(environment, 'data');
    const isMultiAz = environment.cache.replicas > 0;
    template.hasResourceProperties('AWS::ElastiCache::ReplicationGroup', {
      Engine: 'valkey',
      ClusterMode: 'disabled',
      TransitEncryptionEnabled: true,
      TransitEncryptionMode: 'required',
      AtRestEncryptionEnabled: true,
      MultiAZEnabled: isMultiAz,
      AutomaticFailoverEnabled: isMultiAz,
    });
    template.hasResourceProperties('AWS::ElastiCache::ParameterGroup', {
      Properties: { 'maxmemory-policy': 'noeviction' },
    });
    template.resourceCountIs('AWS::ElastiCache::User', 1);
    template.hasResourceProperties('AWS::ElastiCache::User', { AccessString: VALKEY_RULES });
  });

  test(`${environment.name}: only instances reach PostgreSQL and Valkey, and nobody an instance`, () => {
    const template = templateOf(environment, 'network');
    for (const [port, group] of [
      [5432, 'Database'],
      [6379, 'Cache'],
    ] as const)
      template.hasResourceProperties('AWS::EC2::SecurityGroupIngress', {
        FromPort: port,
        ToPort: port,
        GroupId: { 'Fn::GetAtt': [Match.stringLikeRegexp(`^${group}`), 'GroupId'] },
        SourceSecurityGroupId: { 'Fn::GetAtt': [Match.stringLikeRegexp('^Clients'), 'GroupId'] },
      });
    assert.doesNotMatch(
      JSON.stringify(template.findResources('AWS::EC2::SecurityGroupIngress')),
      /CidrIp/,
    );
    for (const { Properties } of Object.values(
      template.findResources('AWS::EC2::SecurityGroup'),
    ) as Resource[])
      assert.equal(Properties?.['SecurityGroupIngress'], undefined);
  });

  test(`${environment.name}: tables are migrated, then workers deployed, then the API, then it is tried`, () => {
    const template = templateOf(environment, 'delivery');
    const [pipeline] = Object.values(
      template.findResources('AWS::CodePipeline::Pipeline'),
    ) as Resource[];
    const stages = pipeline?.Properties?.['Stages'] as {
      readonly Name: string;
      readonly Actions: readonly { readonly Configuration?: Readonly<Record<string, unknown>> }[];
    }[];
    assert.deepEqual(
      stages.map(({ Name }) => Name).filter((name) => name !== 'Approval'),
      ['Source', 'Bundle', 'Migrate', 'Worker', 'Api', 'Smoke'],
    );
    assert.equal(
      stages.some(({ Name }) => Name === 'Approval'),
      environment.isApproved,
    );
    const source = stages[0]?.Actions[0]?.Configuration;
    assert.equal(source?.['BranchName'], environment.branch);
    assert.equal(source?.['DetectChanges'], false);
  });

  test(`${environment.name}: the source may use the connection, by the action of its own service`, () => {
    const template = templateOf(environment, 'delivery');
    const [pipeline] = Object.values(template.findResources('AWS::CodePipeline::Pipeline'));
    const [source] = pipeline?.['Properties'].Stages[0].Actions;
    const connection = source.Configuration.ConnectionArn;
    const [exported] = Object.values(
      accountTemplate.findOutputs('*', { Export: { Name: connection['Fn::ImportValue'] } }),
    );
    const [resource] = exported?.['Value']['Fn::GetAtt'];
    const { Type } = accountTemplate.toJSON()['Resources'][resource];
    const service = String(Type).split('::')[1]?.toLowerCase();
    const role = source.RoleArn['Fn::GetAtt'][0];
    assert.ok(
      statementsOf(template, role).some(
        ({ Action, Resource: resources }) =>
          [Action].flat().includes(`${service}:UseConnection`) &&
          isDeepStrictEqual(resources, connection),
      ),
    );
  });

  test(`${environment.name}: who deploys may read what CloudFormation reads of a topic`, () => {
    const template = templateOf(environment, 'delivery');
    const [pipeline] = Object.values(template.findResources('AWS::CodePipeline::Pipeline'));
    const stages: readonly {
      readonly Name: string;
      readonly Actions: readonly [
        { readonly RoleArn: { readonly 'Fn::GetAtt': readonly string[] } },
      ];
    }[] = pipeline?.['Properties'].Stages;
    for (const { Actions } of stages.filter(({ Name }) => ['Worker', 'Api'].includes(Name)))
      for (const action of ['sns:GetTopicAttributes', 'sns:GetDataProtectionPolicy'])
        assert.ok(
          statementsOf(template, Actions[0].RoleArn['Fn::GetAtt'][0] ?? '').some(({ Action }) =>
            [Action].flat().includes(action),
          ),
          action,
        );
  });

  test(`${environment.name}: the administrator’s password is known to the stage that migrates alone`, () => {
    const service = JSON.stringify(templateOf(environment, 'service').toJSON());
    assert.doesNotMatch(service, /Secretdatabaseadministrator/);
    assert.match(
      JSON.stringify(templateOf(environment, 'delivery').toJSON()),
      /DATABASE_API_PASSWORD/,
    );
    const users = (['Web', 'Worker'] as const).map((tier) =>
      valueOf(optionsOf(environment, tier), 'POSTGRES_USER'),
    );
    assert.deepEqual(users, [databaseRoles.api, databaseRoles.worker]);
  });

  test(`${environment.name}: every alarm tells the operators`, () => {
    const template = templateOf(environment, 'alarms');
    const alarms = Object.values(template.findResources('AWS::CloudWatch::Alarm')) as Resource[];
    assert.ok(alarms.length >= 16);
    for (const { Properties } of alarms) {
      assert.equal((Properties?.['AlarmActions'] as unknown[]).length, 1);
      assert.match(String(Properties?.['AlarmDescription']), /\.$/);
    }
    template.resourceCountIs('AWS::SNS::Subscription', environment.operators.length);
    template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: Match.objectLike({
        detail: {
          state: { value: ['ALARM'] },
          alarmName: bundleAlarms.map((name) => ({ wildcard: `awseb-*-${name}-*` })),
        },
      }),
    });
  });

  test(`${environment.name}: of the bundles' alarms its own alone are passed on`, () => {
    const [rule] = Object.values(
      templateOf(environment, 'alarms').findResources('AWS::Events::Rule'),
    );
    const { configuration } = rule?.['Properties'].EventPattern.detail;
    const prefixes: readonly { readonly prefix: string }[] = configuration.description;
    for (const other of environments)
      for (const suffix of ['', '-green']) {
        const description = `rollcall-${other.name}-worker${suffix}: no worker`;
        const isTold = prefixes.some(({ prefix }) => description.startsWith(prefix));
        assert.equal(isTold, other === environment, description);
      }
  });

  test(`${environment.name}: what an alarm publishes passes the policies of the topic and of its key`, () => {
    const template = templateOf(environment, 'alarms');
    for (const { Properties } of Object.values(template.findResources('AWS::CloudWatch::Alarm'))) {
      const { AlarmName, AlarmActions, OKActions } = Properties;
      const alarm = `arn:aws:cloudwatch:${environment.region}:ACCOUNT:alarm:${AlarmName}`;
      const keys = { ...OVER_TLS, 'aws:SourceAccount': 'ACCOUNT', 'aws:SourceArn': alarm };
      for (const topic of resolved([...AlarmActions, ...OKActions]) as string[])
        assert.ok(mayPublish(environment, topic, 'cloudwatch.amazonaws.com', keys), AlarmName);
    }
    for (const { Properties } of Object.values(template.findResources('AWS::Events::Rule')))
      for (const { Arn } of Properties.Targets)
        assert.ok(
          // EventBridge sends KMS neither account nor rule: a condition on them would refuse it.
          mayPublish(environment, resolved(Arn) as string, 'events.amazonaws.com', OVER_TLS),
        );
  });

  test(`${environment.name}: workers alone publish metrics, in one namespace`, () => {
    const policies = templateOf(environment, 'service').findResources('AWS::IAM::Policy');
    const allowed = Object.entries(policies).flatMap(([id, policy]) =>
      (policy as Resource & PolicyDocument).Properties.PolicyDocument.Statement.filter(
        ({ Action }) => [Action].flat().includes('cloudwatch:PutMetricData'),
      ).map((statement) => ({ id, ...statement })),
    );
    assert.equal(allowed.length, 1);
    const [statement] = allowed;
    assert.match(statement?.id ?? '', /worker/i);
    assert.deepEqual(statement?.Condition, {
      StringEquals: { 'cloudwatch:namespace': METRICS_NAMESPACE },
    });
  });

  test(`${environment.name}: alarms watch what the workers of this environment publish`, () => {
    const alarms = Object.values(
      templateOf(environment, 'alarms').findResources('AWS::CloudWatch::Alarm'),
    ) as Resource[];
    const own = alarms.filter(({ Properties }) => Properties?.['Namespace'] === METRICS_NAMESPACE);
    assert.deepEqual(own.map(({ Properties }) => Properties?.['MetricName']).toSorted(), [
      'DeadLetters',
      'LogLinesDropped',
      'OutboxOldestSeconds',
    ]);
    for (const { Properties } of own)
      assert.deepEqual(Properties?.['Dimensions'], [
        { Name: 'Environment', Value: `rollcall-${environment.name}-worker` },
      ]);
  });
}

interface PolicyDocument {
  readonly Properties: {
    readonly PolicyDocument: {
      readonly Statement: readonly {
        readonly Action: string | readonly string[];
        readonly Resource?: unknown;
        readonly Condition?: unknown;
      }[];
    };
  };
}

test('the bundle of the worker tier publishes where it may, and has the alarms that are passed on', () => {
  const files = ['50-scaling', '60-ses-events'].map((name) =>
    readFileSync(join(projectRoot, `.ebextensions/worker/${name}.config`), 'utf8'),
  );
  const text = files.join('\n');
  assert.match(text, new RegExp(`METRICS_CLOUDWATCH_NAMESPACE: ${METRICS_NAMESPACE}$`, 'm'));
  for (const name of bundleAlarms)
    assert.match(
      text,
      // Its description begins with the name of the environment, as the rule demands.
      new RegExp(
        `^  ${name}:\n    Type: AWS::CloudWatch::Alarm\n    Properties:\n(?: +#.*\n)*      AlarmDescription:\n +'Fn::Join':\n +- ''\n +- - \\{ Ref: AWSEBEnvironmentName \\}\n +- ': `,
        'm',
      ),
    );
});

test('the stream of log lines keeps all of them in S3', () => {
  templateOf(development, 'logs').hasResourceProperties('AWS::KinesisFirehose::DeliveryStream', {
    AmazonopensearchserviceDestinationConfiguration: Match.objectLike({
      S3BackupMode: 'AllDocuments',
      VpcConfiguration: Match.anyValue(),
    }),
  });
});

test('GitHub may push images from one environment, and start a pipeline from its own', () => {
  const roleTrusts = (template: Template, subject: string): void =>
    template.hasResourceProperties('AWS::IAM::Role', {
      AssumeRolePolicyDocument: {
        Statement: [
          Match.objectLike({
            Action: 'sts:AssumeRoleWithWebIdentity',
            Condition: {
              StringEquals: {
                'token.actions.githubusercontent.com:aud': 'sts.amazonaws.com',
                'token.actions.githubusercontent.com:sub': subject,
              },
            },
          }),
        ],
      },
    });
  roleTrusts(
    Template.fromJSON(templates['rollcall-account'] as never),
    githubSubject(repository, 'images'),
  );
  for (const environment of environments)
    roleTrusts(templateOf(environment, 'delivery'), githubSubject(repository, environment.name));
  assert.equal(
    githubSubject({ owner: 'o', name: 'r', ids: { owner: 1, repository: 2 } }, 'production'),
    'repo:o@1/r@2:environment:production',
  );
});

test('the rules of the user in Valkey are those that the product documents', () => {
  const document = readFileSync(join(projectRoot, 'docs/security.md'), 'utf8');
  const [, rules] = /^ACL SETUSER NAME on >PASSWORD (.+)$/m.exec(document) ?? [];
  assert.equal(VALKEY_RULES, `on ${rules}`);
});

test('a password for SMTP is derived from the access key as SES does', () => {
  // Tried by others, too: terraform-provider-aws has this pair among its tests.
  assert.equal(
    smtpPassword('some+secret+key', 'eu-central-1'),
    'BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2',
  );
});
