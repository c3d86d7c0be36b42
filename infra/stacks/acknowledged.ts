import { Stack, Validations, type App } from 'aws-cdk-lib';

/** Findings of cdk-nag that stay, where, and why. A test fails for one that is no longer found. */
export interface Acknowledged {
  /** Paths of the constructs, without the name of the environment. */
  readonly at: RegExp;
  /** The rules, with the finding where a rule has several. */
  readonly rules: readonly string[];
  readonly reason: string;
}

const policy = (name: string): string =>
  `IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/${name}]`;
const arn = (service: string, rest: string): string =>
  `IAM5[Resource::arn:<AWS::Partition>:${service}:REGION:<AWS::AccountId>:${rest}]`;

export const acknowledged: readonly Acknowledged[] = [
  {
    at: /^(data\/|logs\/Administrator\/|delivery\/SmokeAccount\/)/,
    rules: ['SMG4'],
    reason:
      'Elastic Beanstalk reads a secret when an instance starts, so a rotation is a deployment of both tiers: docs/runbook.md has its steps. Rotated by a function alone the instances would keep the old value.',
  },
  {
    at: /^data\/(Database\/Resource|Cache)$/,
    rules: ['RDS11', 'AEC5'],
    reason: 'Another port hides nothing: the security group lets in the instances alone.',
  },
  {
    at: /^data\/Cache$/,
    rules: ['AEC6'],
    reason:
      'A user with a password and the rules of docs/security.md takes the place of the one AUTH token.',
  },
  {
    at: /^data\/(Database\/Resource|Cache)$/,
    rules: ['RDS3', 'RDS10', 'AEC4'],
    reason: 'Of environments without data to lose. checkSettings refuses it for production.',
  },
  {
    at: /^logs\/Search$/,
    rules: ['OS3', 'OS5'],
    reason:
      'It is in the VPC, where security groups let in Firehose and instances, and every request needs a user or role that the domain itself knows.',
  },
  {
    at: /^logs\/Search$/,
    rules: ['OS4', 'OS7'],
    reason:
      'It is an index of lines that S3 has as well: it can be lost and made again, and costs a multiple with masters.',
  },
  {
    at: /^(logs\/Bucket|delivery\/Artifacts)\/Resource$/,
    rules: ['S1'],
    reason:
      'Nothing is public, and only Firehose or the pipeline reads and writes; CloudTrail can record the rest.',
  },
  {
    at: /^logs\/DeliveryRole\//,
    rules: ['IAM5[Resource::<Search.Arn>/*]', 'IAM5[Resource::<Bucket83908E77.Arn>/*]'],
    reason: 'The indexes of one domain and the objects of one bucket.',
  },
  {
    at: /^logs\/DeliveryRole\//,
    rules: ['IAM5[Resource::*]'],
    reason:
      'Network interfaces of Firehose in the VPC: the describing actions know no resources, and the interfaces do not exist yet.',
  },
  {
    at: /^account\/PushImages\//,
    rules: ['IAM5[Resource::*]'],
    reason: 'ecr:GetAuthorizationToken knows no resources.',
  },
  {
    at: /^mail\/SmtpUser\//,
    rules: [arn('ses', 'configuration-set/*')],
    reason:
      'The configuration set is made and named by the worker’s environment; the sender is fixed by a condition.',
  },
  {
    at: /^service\/ServiceRole\//,
    rules: [
      policy('service-role/AWSElasticBeanstalkEnhancedHealth'),
      policy('AWSElasticBeanstalkManagedUpdatesCustomerRolePolicy'),
    ],
    reason: 'What Elastic Beanstalk needs for itself changes with its platform, and these follow.',
  },
  {
    at: /^service\/InstanceRole-web\//,
    rules: [policy('AWSElasticBeanstalkWebTier'), policy('AmazonSSMManagedInstanceCore')],
    reason: 'What the agents of the platform need changes with the platform, and these follow.',
  },
  {
    at: /^service\/InstanceRole-worker\//,
    rules: [policy('AWSElasticBeanstalkWorkerTier'), policy('AmazonSSMManagedInstanceCore')],
    reason: 'What the agents of the platform need changes with the platform, and these follow.',
  },
  {
    at: /^service\/InstanceRole-(web|worker)\/DefaultPolicy\//,
    rules: [
      arn('ec2', 'instance/*'),
      arn('autoscaling', 'autoScalingGroup:*:autoScalingGroupName/awseb-*'),
    ],
    reason:
      'Instances and groups are made later; a condition restricts both to those of this environment.',
  },
  {
    at: /^service\/InstanceRole-(web|worker)\/DefaultPolicy\//,
    rules: ['IAM5[Resource::*]'],
    reason:
      'ecr:GetAuthorizationToken, autoscaling:DescribeAutoScalingInstances and cloudwatch:PutMetricData know no resources; a condition restricts the last one to a namespace.',
  },
  {
    at: /^service\/(Web|Worker)$/,
    rules: ['EB3', 'EB4'],
    reason:
      'Managed updates are switched on in the bundles (.ebextensions/common/10-instances.config). Log lines are shipped by Firehose, not as files.',
  },
  {
    at: /^delivery\/(Pipeline|Bundles|Migrate|Smoke)\//,
    rules: [
      'IAM5[Action::s3:GetObject*]',
      'IAM5[Action::s3:GetBucket*]',
      'IAM5[Action::s3:List*]',
      'IAM5[Action::s3:DeleteObject*]',
      'IAM5[Action::s3:Abort*]',
      'IAM5[Action::kms:ReEncrypt*]',
      'IAM5[Action::kms:GenerateDataKey*]',
      'IAM5[Resource::<Artifacts82DD59A1.Arn>/*]',
    ],
    reason: 'The artifacts of this pipeline, under its key, as the CDK grants them.',
  },
  {
    at: /^delivery\/Pipeline\/(Worker|Api)\/Deploy\//,
    rules: [
      policy('AdministratorAccess-AWSElasticBeanstalk'),
      arn('sns', 'awseb-*'),
      arn('ses', 'configuration-set/*'),
    ],
    reason:
      'Elastic Beanstalk makes an environment’s resources with the rights of who deploys, and names them itself.',
  },
  {
    at: /^delivery\/(Bundles|Migrate|Smoke)\/Role\//,
    rules: [
      ...['Bundles3FB864E8', 'MigrateD5E6BFF0', 'Smoke09CC2292'].flatMap((project) => [
        arn('logs', `log-group:/aws/codebuild/<${project}>:*`),
        arn('codebuild', `report-group/<${project}>-*`),
      ]),
    ],
    reason: 'The log and the reports of one project, as the CDK grants them.',
  },
  {
    at: /^delivery\/Migrate\//,
    rules: [
      'IAM5[Resource::*]',
      'IAM5[Resource::arn:<AWS::Partition>:ec2:<AWS::Region>:<AWS::AccountId>:network-interface/*]',
    ],
    reason: 'A build in the VPC makes network interfaces, which do not exist before.',
  },
];

/** The path of a construct without the name of its environment, as `at` of an acknowledgement sees it. */
export const placeOf = (path: string): string =>
  path.replace(/^rollcall-(?:(?:development|staging|production)-)?/, '');

/** A rule as cdk-nag writes it in a region. */
export const ruleIn = (rule: string, region: string): string =>
  `AwsSolutions-${rule.replace('REGION', region)}`;

/** Acknowledges what stays; everything else that cdk-nag finds fails the synthesis. */
export function acknowledge(app: App): void {
  const constructs = app.node.findAll().filter((construct) => construct !== app);
  for (const { at, rules, reason } of acknowledged) {
    for (const construct of constructs.filter(({ node }) => at.test(placeOf(node.path)))) {
      const { region } = Stack.of(construct);
      for (const rule of rules)
        Validations.of(construct).acknowledge({
          id: `AwsSolutions::${ruleIn(rule, region)}`,
          reason,
        });
    }
  }
}
