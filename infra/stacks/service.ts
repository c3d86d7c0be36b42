import { ArnFormat, CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as beanstalk from 'aws-cdk-lib/aws-elasticbeanstalk';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as route53 from 'aws-cdk-lib/aws-route53';
import * as targets from 'aws-cdk-lib/aws-route53-targets';
import type * as secrets from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import {
  inServiceAtLeast,
  platform,
  workersAtMost,
  type EnvironmentSettings,
} from '../environment.js';
import type { AccountStack } from './account.js';
import { DATABASE_NAME, databaseRoles, type DataStack } from './data.js';
import type { LogsStack } from './logs.js';
import type { NetworkStack } from './network.js';

/** As `.ebextensions/worker/50-scaling.config` has it: workers publish there what scaling and alarms need. */
export const METRICS_NAMESPACE = 'Rollcall';

type Tier = 'web' | 'worker';
/** Option settings by namespace and name. */
export type Options = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface ServiceParts {
  readonly account: AccountStack;
  readonly network: NetworkStack;
  readonly data: DataStack;
  readonly logs: LogsStack;
}

/**
 * The application and both of its environments on Elastic Beanstalk, the certificate and the name. Only what an account or a
 * size decides is set here, since it overrides the same option in a bundle; the rest is in `.ebextensions`.
 */
export class ServiceStack extends Stack {
  readonly applicationName: string;
  readonly environmentNames: Readonly<Record<Tier, string>>;

  constructor(
    scope: Construct,
    id: string,
    readonly settings: EnvironmentSettings,
    private readonly parts: ServiceParts,
    props: StackProps,
  ) {
    super(scope, id, props);
    const { name, domain } = settings;
    this.applicationName = `rollcall-${name}`;
    this.environmentNames = { web: `rollcall-${name}-web`, worker: `rollcall-${name}-worker` };
    const serviceRole = this.makeServiceRole();
    const application = new beanstalk.CfnApplication(this, 'Application', {
      applicationName: this.applicationName,
      description: `Rollcall, ${name}`,
      resourceLifecycleConfig: {
        serviceRole: serviceRole.roleArn,
        versionLifecycleConfig: {
          maxCountRule: { enabled: true, maxCount: 100, deleteSourceFromS3: true },
        },
      },
    });
    const zone = route53.HostedZone.fromHostedZoneAttributes(this, 'Zone', {
      hostedZoneId: settings.zone.id,
      zoneName: settings.zone.name,
    });
    const certificate = new acm.Certificate(this, 'Certificate', {
      domainName: domain,
      validation: acm.CertificateValidation.fromDns(zone),
    });
    const options = {
      web: merge(this.commonOptions('web', serviceRole), this.webOptions(certificate)),
      worker: merge(this.commonOptions('worker', serviceRole), this.workerOptions()),
    };
    const web = this.makeEnvironment('web', options.web, {
      tier: { name: 'WebServer', type: 'Standard' },
      cnamePrefix: settings.cnamePrefix,
    });
    const worker = this.makeEnvironment('worker', options.worker, {
      tier: { name: 'Worker', type: 'SQS/HTTP' },
    });
    for (const environment of [web, worker]) environment.addResourceDependency(application);
    new route53.ARecord(this, 'Name', {
      zone,
      recordName: `${domain}.`,
      target: route53.RecordTarget.fromAlias(
        new targets.ElasticBeanstalkEnvironmentEndpointTarget(
          `${settings.cnamePrefix}.${settings.region}.elasticbeanstalk.com`,
        ),
      ),
    }).node.addDependency(web);
    new CfnOutput(this, 'Url', { value: `https://${domain}` });
  }

  private makeEnvironment(
    tier: Tier,
    options: Options,
    rest: Pick<beanstalk.CfnEnvironmentProps, 'tier' | 'cnamePrefix'>,
  ): beanstalk.CfnEnvironment {
    return new beanstalk.CfnEnvironment(this, tier === 'web' ? 'Web' : 'Worker', {
      applicationName: this.applicationName,
      environmentName: this.environmentNames[tier],
      description: `Rollcall, ${this.settings.name}, ${tier} tier`,
      platformArn: this.formatArn({
        service: 'elasticbeanstalk',
        account: '',
        resource: 'platform',
        resourceName: platform,
      }),
      optionSettings: Object.entries(options).flatMap(([namespace, values]) =>
        Object.entries(values).map(([optionName, value]) => ({ namespace, optionName, value })),
      ),
      ...rest,
    });
  }

  private commonOptions(tier: Tier, serviceRole: iam.Role): Options {
    const { settings, parts } = this;
    const { vpc, clients } = parts.network;
    const fleet = tier === 'web' ? settings.web : settings.worker;
    return {
      'aws:autoscaling:launchconfiguration': {
        IamInstanceProfile: this.makeInstanceProfile(tier).ref,
        SecurityGroups: clients.securityGroupId,
      },
      'aws:ec2:instances': { InstanceTypes: fleet.instance },
      'aws:ec2:vpc': {
        VPCId: vpc.vpcId,
        Subnets: vpc.privateSubnets.map(({ subnetId }) => subnetId).join(','),
        AssociatePublicIpAddress: 'false',
      },
      'aws:elasticbeanstalk:environment': { ServiceRole: serviceRole.roleArn },
      'aws:elasticbeanstalk:application:environment': {
        APP_ENV: settings.name,
        PUBLIC_URL: `https://${settings.domain}`,
        POSTGRES_HOST: parts.data.database.dbInstanceEndpointAddress,
        POSTGRES_DB: DATABASE_NAME,
        POSTGRES_USER: tier === 'web' ? databaseRoles.api : databaseRoles.worker,
        FIREHOSE_DELIVERY_STREAM: parts.logs.stream.ref,
      },
      'aws:elasticbeanstalk:application:environmentsecrets': environmentSecrets(tier, parts.data),
    };
  }

  private webOptions(certificate: acm.Certificate): Options {
    const { settings, parts } = this;
    const { min, max } = settings.web;
    return {
      'aws:autoscaling:asg': { MinSize: String(min), MaxSize: String(max) },
      'aws:autoscaling:updatepolicy:rollingupdate': {
        MinInstancesInService: String(inServiceAtLeast(settings.web)),
      },
      // The type of load balancer is decided when an environment is made: no bundle can change it later.
      'aws:elasticbeanstalk:environment': {
        EnvironmentType: 'LoadBalanced',
        LoadBalancerType: 'application',
      },
      'aws:ec2:vpc': {
        ELBSubnets: parts.network.vpc.publicSubnets.map(({ subnetId }) => subnetId).join(','),
        ELBScheme: 'public',
      },
      'aws:elbv2:listener:443': {
        ListenerEnabled: 'true',
        Protocol: 'HTTPS',
        SSLCertificateArns: certificate.certificateArn,
        SSLPolicy: 'ELBSecurityPolicy-TLS13-1-2-2021-06',
      },
      'aws:elasticbeanstalk:application:environment': {
        OPERATOR_EMAILS: settings.operators.join(','),
      },
    };
  }

  private workerOptions(): Options {
    const { settings } = this;
    return {
      'aws:autoscaling:asg': {
        MinSize: String(settings.worker.min),
        MaxSize: String(workersAtMost(settings.mail.rate)),
      },
      'aws:elasticbeanstalk:application:environment': {
        MAIL_HOST: `email-smtp.${settings.region}.amazonaws.com`,
        MAIL_FROM: settings.mail.from,
        MAIL_RATE: String(settings.mail.rate),
        ALERT_EMAILS: settings.operators.join(','),
      },
    };
  }

  private makeServiceRole(): iam.Role {
    return new iam.Role(this, 'ServiceRole', {
      assumedBy: new iam.ServicePrincipal('elasticbeanstalk.amazonaws.com', {
        conditions: { StringEquals: { 'sts:ExternalId': 'elasticbeanstalk' } },
      }),
      managedPolicies: [
        'service-role/AWSElasticBeanstalkEnhancedHealth',
        'AWSElasticBeanstalkManagedUpdatesCustomerRolePolicy',
      ].map((policy) => iam.ManagedPolicy.fromAwsManagedPolicyName(policy)),
    });
  }

  private makeInstanceProfile(tier: Tier): iam.CfnInstanceProfile {
    const { account, data, logs } = this.parts;
    const role = new iam.Role(this, `InstanceRole-${tier}`, {
      assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com'),
      managedPolicies: [
        tier === 'web' ? 'AWSElasticBeanstalkWebTier' : 'AWSElasticBeanstalkWorkerTier',
        // A shell on an instance, and a port-forward to what is private, without an open port.
        'AmazonSSMManagedInstanceCore',
      ].map((policy) => iam.ManagedPolicy.fromAwsManagedPolicyName(policy)),
    });
    // The API's image migrates, so both tiers pull it.
    account.images.api.grantPull(role);
    if (tier === 'worker') account.images.worker.grantPull(role);
    const own =
      tier === 'web'
        ? [data.secrets.api, data.secrets.pepper, data.secrets.pepperStandby]
        : [data.secrets.worker, data.secrets.mail];
    const { redisUrl, signing, signingStandby } = data.secrets;
    allowRead(role, data.key, [...own, redisUrl, signing, signingStandby]);
    if (tier === 'worker') {
      // Lines are shipped by workers alone.
      role.addToPolicy(
        new iam.PolicyStatement({
          actions: ['firehose:PutRecordBatch'],
          resources: [logs.stream.attrArn],
        }),
      );
      // The managed policy of the tier allows it in any namespace; this holds without it, too.
      role.addToPolicy(
        new iam.PolicyStatement({
          sid: 'PublishMetrics',
          actions: ['cloudwatch:PutMetricData'],
          resources: ['*'],
          conditions: { StringEquals: { 'cloudwatch:namespace': METRICS_NAMESPACE } },
        }),
      );
    }
    // The second stands beside the first for a while: docs/deploy.md, "Blue and green".
    const environments = ['', '-green'].map((suffix) => `${this.environmentNames[tier]}${suffix}`);
    role.addToPolicy(
      new iam.PolicyStatement({
        sid: 'MetadataHopLimit',
        actions: ['ec2:ModifyInstanceMetadataOptions'],
        resources: [this.formatArn({ service: 'ec2', resource: 'instance', resourceName: '*' })],
        conditions: {
          StringEquals: { 'aws:ResourceTag/elasticbeanstalk:environment-name': environments },
        },
      }),
    );
    role.addToPolicy(
      new iam.PolicyStatement({
        sid: 'CompleteTermination',
        actions: ['autoscaling:CompleteLifecycleAction'],
        resources: [
          this.formatArn({
            service: 'autoscaling',
            resource: 'autoScalingGroup',
            resourceName: '*:autoScalingGroupName/awseb-*',
            arnFormat: ArnFormat.COLON_RESOURCE_NAME,
          }),
        ],
        conditions: {
          StringEquals: { 'aws:ResourceTag/elasticbeanstalk:environment-name': environments },
        },
      }),
    );
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['autoscaling:DescribeAutoScalingInstances'],
        resources: ['*'],
      }),
    );
    return new iam.CfnInstanceProfile(this, `InstanceProfile-${tier}`, { roles: [role.roleName] });
  }
}

/**
 * Lets a role read secrets. By its own policy alone: the key and the secrets trust their account, and would otherwise have to
 * name a role of a later stack.
 */
export function allowRead(role: iam.IRole, key: kms.IKey, all: readonly secrets.ISecret[]): void {
  role.addToPrincipalPolicy(
    new iam.PolicyStatement({
      actions: ['secretsmanager:GetSecretValue'],
      resources: all.map(({ secretArn }) => secretArn),
    }),
  );
  const { region } = Stack.of(role);
  role.addToPrincipalPolicy(
    new iam.PolicyStatement({
      actions: ['kms:Decrypt'],
      resources: [key.keyArn],
      conditions: { StringEquals: { 'kms:ViaService': `secretsmanager.${region}.amazonaws.com` } },
    }),
  );
}

/** By reference: Elastic Beanstalk fetches the values when an instance starts. */
function environmentSecrets(
  tier: Tier,
  { secrets: all }: DataStack,
): Readonly<Record<string, string>> {
  const part = (secret: secrets.ISecret, key: string): string => `${secret.secretArn}:${key}`;
  const both = {
    REDIS_URL: all.redisUrl.secretArn,
    SECRET_KEY: all.signing.secretArn,
    SECRET_KEY_PREVIOUS: all.signingStandby.secretArn,
  };
  return tier === 'web'
    ? {
        ...both,
        POSTGRES_PASSWORD: part(all.api, 'password'),
        PASSWORD_PEPPER: all.pepper.secretArn,
        PASSWORD_PEPPER_PREVIOUS: all.pepperStandby.secretArn,
      }
    : {
        ...both,
        POSTGRES_PASSWORD: part(all.worker, 'password'),
        MAIL_USERNAME: part(all.mail, 'username'),
        MAIL_PASSWORD: part(all.mail, 'password'),
      };
}

function merge(first: Options, second: Options): Options {
  const namespaces = new Set([...Object.keys(first), ...Object.keys(second)]);
  return Object.fromEntries(
    [...namespaces].map((namespace) => [namespace, { ...first[namespace], ...second[namespace] }]),
  );
}
