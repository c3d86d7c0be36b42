import { Duration, RemovalPolicy, SecretValue, Stack, type StackProps } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as firehose from 'aws-cdk-lib/aws-kinesisfirehose';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as opensearch from 'aws-cdk-lib/aws-opensearchservice';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as secrets from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import type { EnvironmentSettings } from '../environment.js';
import type { DataStack } from './data.js';
import type { NetworkStack } from './network.js';

/** Log lines: a stream of Firehose, OpenSearch for looking them up, and S3, which keeps all of them for a year. */
export class LogsStack extends Stack {
  readonly stream: firehose.CfnDeliveryStream;
  readonly domain: opensearch.CfnDomain;
  readonly administrator: secrets.Secret;
  readonly deliveryRole: iam.Role;

  constructor(
    scope: Construct,
    id: string,
    settings: EnvironmentSettings,
    { network, data }: { readonly network: NetworkStack; readonly data: DataStack },
    props: StackProps,
  ) {
    super(scope, id, props);
    const bucket = this.makeBucket(settings, data);
    this.administrator = new secrets.Secret(this, 'Administrator', {
      secretName: `rollcall/${settings.name}/search-administrator`,
      encryptionKey: data.key,
      generateSecretString: {
        // OpenSearch demands one of each kind.
        passwordLength: 40,
        excludeCharacters: '"\'`$#\\/@&<>:;, ',
        requireEachIncludedType: true,
        secretStringTemplate: JSON.stringify({ username: 'administrator' }),
        generateStringKey: 'password',
      },
    });
    this.domain = this.makeDomain(settings, network, data);
    this.deliveryRole = new iam.Role(this, 'DeliveryRole', {
      assumedBy: new iam.ServicePrincipal('firehose.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': this.account } },
      }),
    });
    this.stream = this.makeStream(settings, network, data, bucket);
  }

  private makeBucket(settings: EnvironmentSettings, data: DataStack): s3.Bucket {
    const { isKept } = settings.database;
    return new s3.Bucket(this, 'Bucket', {
      encryption: s3.BucketEncryption.KMS,
      encryptionKey: data.key,
      bucketKeyEnabled: true,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
      removalPolicy: isKept ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
      lifecycleRules: [
        {
          transitions: [
            {
              storageClass: s3.StorageClass.GLACIER_INSTANT_RETRIEVAL,
              transitionAfter: Duration.days(30),
            },
          ],
          expiration: Duration.days(isKept ? 365 : 60),
          abortIncompleteMultipartUploadAfter: Duration.days(1),
        },
      ],
    });
  }

  private makeDomain(
    settings: EnvironmentSettings,
    network: NetworkStack,
    data: DataStack,
  ): opensearch.CfnDomain {
    const { search, name } = settings;
    const isSpread = search.nodes > 1;
    const subnets = network.vpc.isolatedSubnets.slice(0, isSpread ? 2 : 1);
    const login = (key: string): string =>
      SecretValue.secretsManager(this.administrator.secretArn, { jsonField: key }).unsafeUnwrap();
    const slowLog = new logs.LogGroup(this, 'SearchLog', {
      logGroupName: `/aws/vendedlogs/rollcall-${name}-search`,
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const policy = new logs.CfnResourcePolicy(this, 'SearchLogPolicy', {
      policyName: `rollcall-${name}-search`,
      policyDocument: this.toJsonString({
        Version: '2012-10-17',
        Statement: [
          {
            Effect: 'Allow',
            Principal: { Service: 'es.amazonaws.com' },
            Action: ['logs:PutLogEvents', 'logs:CreateLogStream'],
            Resource: slowLog.logGroupArn,
            Condition: { StringEquals: { 'aws:SourceAccount': this.account } },
          },
        ],
      }),
    });
    const published = { cloudWatchLogsLogGroupArn: slowLog.logGroupArn, enabled: true };
    const domain = new opensearch.CfnDomain(this, 'Search', {
      domainName: `rollcall-${name}`,
      engineVersion: 'OpenSearch_2.19',
      clusterConfig: {
        instanceType: search.instance,
        instanceCount: search.nodes,
        zoneAwarenessEnabled: isSpread,
        ...(isSpread && { zoneAwarenessConfig: { availabilityZoneCount: 2 } }),
      },
      ebsOptions: { ebsEnabled: true, volumeType: 'gp3', volumeSize: search.storageGib },
      vpcOptions: {
        subnetIds: subnets.map(({ subnetId }) => subnetId),
        securityGroupIds: [network.search.securityGroupId],
      },
      encryptionAtRestOptions: { enabled: true, kmsKeyId: data.key.keyId },
      nodeToNodeEncryptionOptions: { enabled: true },
      domainEndpointOptions: {
        enforceHttps: true,
        tlsSecurityPolicy: 'Policy-Min-TLS-1-2-PFS-2023-10',
      },
      advancedSecurityOptions: {
        enabled: true,
        internalUserDatabaseEnabled: true,
        masterUserOptions: {
          masterUserName: login('username'),
          masterUserPassword: login('password'),
        },
      },
      // Who may do what is decided by the domain itself; the network lets in Firehose and instances alone.
      accessPolicies: {
        Version: '2012-10-17',
        Statement: [
          {
            Effect: 'Allow',
            Principal: { AWS: '*' },
            Action: 'es:ESHttp*',
            Resource: this.formatArn({
              service: 'es',
              resource: 'domain',
              resourceName: `rollcall-${name}/*`,
            }),
          },
        ],
      },
      logPublishingOptions: {
        SEARCH_SLOW_LOGS: published,
        INDEX_SLOW_LOGS: published,
        ES_APPLICATION_LOGS: published,
      },
      softwareUpdateOptions: { autoSoftwareUpdateEnabled: true },
    });
    domain.addResourceDependency(policy);
    domain.applyRemovalPolicy(RemovalPolicy.DESTROY);
    return domain;
  }

  private makeStream(
    settings: EnvironmentSettings,
    network: NetworkStack,
    data: DataStack,
    bucket: s3.Bucket,
  ): firehose.CfnDeliveryStream {
    const role = this.deliveryRole;
    const log = new logs.LogGroup(this, 'DeliveryLog', {
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const errors = (name: string) => ({
      enabled: true,
      logGroupName: log.logGroupName,
      logStreamName: new logs.LogStream(this, `Errors-${name}`, {
        logGroup: log,
        logStreamName: name,
      }).logStreamName,
    });
    log.grantWrite(role);
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: [
          's3:AbortMultipartUpload',
          's3:GetBucketLocation',
          's3:GetObject',
          's3:ListBucket',
          's3:ListBucketMultipartUploads',
          's3:PutObject',
        ],
        resources: [bucket.bucketArn, bucket.arnForObjects('*')],
      }),
    );
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: [data.key.keyArn],
        conditions: { StringEquals: { 'kms:ViaService': `s3.${this.region}.amazonaws.com` } },
      }),
    );
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: [
          'es:DescribeDomain',
          'es:DescribeDomains',
          'es:DescribeDomainConfig',
          'es:ESHttpGet',
          'es:ESHttpPost',
          'es:ESHttpPut',
        ],
        resources: [this.domain.attrArn, `${this.domain.attrArn}/*`],
      }),
    );
    // Firehose makes network interfaces in the subnets; these actions know no narrower resource before they exist.
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: [
          'ec2:DescribeVpcs',
          'ec2:DescribeVpcAttribute',
          'ec2:DescribeSubnets',
          'ec2:DescribeSecurityGroups',
          'ec2:DescribeNetworkInterfaces',
          'ec2:CreateNetworkInterface',
          'ec2:CreateNetworkInterfacePermission',
          'ec2:DeleteNetworkInterface',
        ],
        resources: ['*'],
      }),
    );
    const stream = new firehose.CfnDeliveryStream(this, 'Stream', {
      deliveryStreamName: `rollcall-${settings.name}-logs`,
      deliveryStreamType: 'DirectPut',
      deliveryStreamEncryptionConfigurationInput: { keyType: 'AWS_OWNED_CMK' },
      amazonopensearchserviceDestinationConfiguration: {
        domainArn: this.domain.attrArn,
        indexName: 'rollcall',
        indexRotationPeriod: 'OneDay',
        roleArn: role.roleArn,
        bufferingHints: { intervalInSeconds: 60, sizeInMBs: 5 },
        retryOptions: { durationInSeconds: 300 },
        s3BackupMode: 'AllDocuments',
        s3Configuration: {
          bucketArn: bucket.bucketArn,
          roleArn: role.roleArn,
          compressionFormat: 'GZIP',
          bufferingHints: { intervalInSeconds: 300, sizeInMBs: 16 },
          encryptionConfiguration: { kmsEncryptionConfig: { awskmsKeyArn: data.key.keyArn } },
          cloudWatchLoggingOptions: errors('s3'),
        },
        cloudWatchLoggingOptions: errors('opensearch'),
        vpcConfiguration: {
          roleArn: role.roleArn,
          subnetIds: network.vpc.selectSubnets({ subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS })
            .subnetIds,
          securityGroupIds: [network.shipping.securityGroupId],
        },
      },
    });
    // Without its rights the stream is refused.
    const rights = role.node.tryFindChild('DefaultPolicy')?.node.defaultChild;
    if (rights) stream.node.addDependency(rights);
    return stream;
  }
}
