/** Texts that an option may have: one of a list, a pattern, or a whole number in a range. */
export type OptionRule =
  | readonly string[]
  | RegExp
  | { readonly min: number; readonly max: number };

/** The options of one namespace that we know of, and where they are documented. */
export interface Namespace {
  readonly source: string;
  readonly options: Readonly<Record<string, OptionRule>>;
}

const GUIDE = 'https://docs.aws.amazon.com/elasticbeanstalk/latest/dg';
const general = (anchor: string): string =>
  `${GUIDE}/command-options-general.html#command-options-general-${anchor}`;

const flag = ['true', 'false'];
const whole = (min: number, max: number): OptionRule => ({ min, max });
/** PT0S to PT1H. */
const pause = /^PT(?:\d+[HMS])+$/;
const port = whole(1, 65_535);

/**
 * The options that may be set, with their values. Elastic Beanstalk has no schema of them: a misspelt one is refused only
 * when an environment is created, a wrong value later.
 */
export const namespaces: Readonly<Record<string, Namespace>> = {
  'aws:autoscaling:asg': {
    source: general('autoscalingasg'),
    options: { MinSize: whole(1, 10_000), MaxSize: whole(1, 10_000), Cooldown: whole(0, 10_000) },
  },
  'aws:autoscaling:launchconfiguration': {
    source: general('autoscalinglaunchconfiguration'),
    options: {
      DisableIMDSv1: flag,
      EC2KeyName: /^[\w .-]{1,255}$/,
      IamInstanceProfile: /^(?:arn:aws[\w-]*:iam::\d{12}:instance-profile\/)?[\w+=,.@-]{1,128}$/,
      SecurityGroups: /^sg-[0-9a-f]+(?:,sg-[0-9a-f]+)*$/,
      RootVolumeType: ['gp2', 'gp3', 'io1', 'standard'],
      RootVolumeSize: whole(8, 16_384),
    },
  },
  'aws:autoscaling:trigger': {
    source: general('autoscalingtrigger'),
    options: {
      MeasureName: [
        'CPUUtilization',
        'NetworkIn',
        'NetworkOut',
        'RequestCount',
        'TargetResponseTime',
      ],
      Statistic: ['Minimum', 'Maximum', 'Sum', 'Average'],
      Unit: [
        'Seconds',
        'Percent',
        'Bytes',
        'Bits',
        'Count',
        'Bytes/Second',
        'Count/Second',
        'None',
      ],
      Period: whole(1, 600),
      EvaluationPeriods: whole(1, 600),
      BreachDuration: whole(1, 600),
      UpperThreshold: whole(0, 20_000_000),
      LowerThreshold: whole(0, 20_000_000),
      UpperBreachScaleIncrement: /^-?\d+%?$/,
      LowerBreachScaleIncrement: /^-?\d+%?$/,
    },
  },
  'aws:autoscaling:updatepolicy:rollingupdate': {
    source: general('autoscalingupdatepolicyrollingupdate'),
    options: {
      RollingUpdateEnabled: flag,
      RollingUpdateType: ['Time', 'Health', 'Immutable'],
      MinInstancesInService: whole(0, 9_999),
      MaxBatchSize: whole(1, 10_000),
      PauseTime: pause,
      Timeout: pause,
    },
  },
  'aws:ec2:instances': {
    source: general('ec2instances'),
    options: {
      InstanceTypes: /^[a-z0-9-]+\.[a-z0-9]+(?:,[a-z0-9-]+\.[a-z0-9]+){0,9}$/,
      SupportedArchitectures: /^(?:x86_64|arm64)(?:,(?:x86_64|arm64))?$/,
    },
  },
  'aws:ec2:vpc': {
    source: general('ec2vpc'),
    options: {
      VPCId: /^vpc-[0-9a-f]+$/,
      Subnets: /^subnet-[0-9a-f]+(?:,subnet-[0-9a-f]+)*$/,
      ELBSubnets: /^subnet-[0-9a-f]+(?:,subnet-[0-9a-f]+)*$/,
      AssociatePublicIpAddress: flag,
      ELBScheme: ['public', 'internal'],
    },
  },
  'aws:elasticbeanstalk:application:environment': {
    source: `${GUIDE}/environments-cfg-softwaresettings.html`,
    options: {},
  },
  'aws:elasticbeanstalk:application:environmentsecrets': {
    source: `${GUIDE}/AWSHowTo.secrets.env-vars.html`,
    options: {},
  },
  'aws:elasticbeanstalk:command': {
    source: general('elasticbeanstalkcommand'),
    options: {
      DeploymentPolicy: [
        'AllAtOnce',
        'Rolling',
        'RollingWithAdditionalBatch',
        'Immutable',
        'TrafficSplitting',
      ],
      Timeout: whole(1, 3_600),
      BatchSizeType: ['Percentage', 'Fixed'],
      BatchSize: whole(1, 10_000),
      IgnoreHealthCheck: flag,
    },
  },
  'aws:elasticbeanstalk:environment': {
    source: general('elasticbeanstalkenvironment'),
    options: {
      EnvironmentType: ['SingleInstance', 'LoadBalanced'],
      LoadBalancerType: ['classic', 'application', 'network'],
      ServiceRole: /^(?:arn:aws[\w-]*:iam::\d{12}:role\/)?[\w+=,.@/-]{1,128}$/,
    },
  },
  'aws:elasticbeanstalk:environment:process:default': {
    source: general('environmentprocess'),
    options: {
      Port: port,
      Protocol: ['HTTP', 'HTTPS', 'TCP'],
      HealthCheckPath: /^\/[\w/.-]*$/,
      MatcherHTTPCode: /^\d{3}(?:[,-]\d{3})*$/,
      HealthCheckInterval: whole(5, 300),
      HealthCheckTimeout: whole(2, 60),
      HealthyThresholdCount: whole(2, 10),
      UnhealthyThresholdCount: whole(2, 10),
      DeregistrationDelay: whole(0, 3_600),
      StickinessEnabled: flag,
    },
  },
  'aws:elasticbeanstalk:healthreporting:system': {
    source: general('elasticbeanstalkhealthreporting'),
    options: {
      SystemType: ['basic', 'enhanced'],
      ConfigDocument: /^\s*\{[^]*\}\s*$/,
      HealthCheckSuccessThreshold: ['Ok', 'Warning', 'Degraded', 'Severe'],
      EnhancedHealthAuthEnabled: flag,
    },
  },
  'aws:elasticbeanstalk:managedactions': {
    source: general('elasticbeanstalkmanagedactions'),
    options: {
      ManagedActionsEnabled: flag,
      PreferredStartTime: /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun):[0-2]\d:[0-5]\d$/,
      ServiceRoleForManagedUpdates: /^[\w+=,.@-]{1,128}$/,
    },
  },
  'aws:elasticbeanstalk:managedactions:platformupdate': {
    source: general('elasticbeanstalkmanagedactionsplatformupdate'),
    options: { UpdateLevel: ['patch', 'minor'], InstanceRefreshEnabled: flag },
  },
  'aws:elasticbeanstalk:sqsd': {
    source: general('elasticbeanstalksqsd'),
    options: {
      WorkerQueueURL: /^https:\/\/\S+$/,
      HttpPath: /^\/[\w/.-]*$/,
      MimeType: /^[\w.+-]+\/[\w.+-]+$/,
      HttpConnections: whole(1, 100),
      ConnectTimeout: whole(1, 60),
      InactivityTimeout: whole(1, 36_000),
      VisibilityTimeout: whole(0, 43_200),
      ErrorVisibilityTimeout: whole(0, 43_200),
      RetentionPeriod: whole(60, 1_209_600),
      MaxRetries: whole(1, 100),
    },
  },
  'aws:elbv2:loadbalancer': {
    source: general('elbv2'),
    options: {
      IdleTimeout: whole(1, 3_600),
      AccessLogsS3Enabled: flag,
      AccessLogsS3Bucket: /^[a-z0-9.-]{3,63}$/,
      SecurityGroups: /^sg-[0-9a-f]+(?:,sg-[0-9a-f]+)*$/,
    },
  },
  'aws:elbv2:listener:443': {
    source: general('elbv2-listener'),
    options: {
      ListenerEnabled: flag,
      Protocol: ['HTTP', 'HTTPS'],
      DefaultProcess: ['default'],
      SSLCertificateArns:
        /^arn:aws[\w-]*:(?:acm:[a-z0-9-]+|iam:):\d{12}:(?:server-)?certificate\/[\w-]+$/,
      // https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
      SSLPolicy: /^ELBSecurityPolicy-TLS13-1-(?:2|2-Res|3)-2021-06$/,
    },
  },
};
