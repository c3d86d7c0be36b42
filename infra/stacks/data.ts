import { Duration, Fn, RemovalPolicy, SecretValue, Stack, type StackProps } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elasticache from 'aws-cdk-lib/aws-elasticache';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as rds from 'aws-cdk-lib/aws-rds';
import * as secrets from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import type { EnvironmentSettings } from '../environment.js';
import type { NetworkStack } from './network.js';

export const DATABASE_NAME = 'rollcall';
/** The roles in PostgreSQL: docs/security.md, "Least privilege". */
export const databaseRoles = {
  /** Who the database was made with: makes the other roles, and owns no table. */
  administrator: 'rollcall_admin',
  api: 'rollcall_api',
  worker: 'rollcall_worker',
} as const;

// generated: redis rules

/** The rules of the user in Valkey, as docs/security.md has them. */
export const VALKEY_RULES = 'on ~{mail}:* ~{logs}:* ~{throttle}:* +@all -@admin -@dangerous +info';

// /generated

/** PostgreSQL, Valkey, and every secret, under one key. */
export class DataStack extends Stack {
  readonly key: kms.Key;
  readonly database: rds.DatabaseInstance;
  readonly cache: elasticache.CfnReplicationGroup;
  readonly secrets: {
    readonly administrator: secrets.ISecret;
    readonly api: secrets.Secret;
    readonly worker: secrets.Secret;
    readonly redisUrl: secrets.Secret;
    readonly signing: secrets.Secret;
    readonly pepper: secrets.Secret;
    /** What comes next, and then what was before: accepted beside the two above, so that either can be changed at any time. */
    readonly signingStandby: secrets.Secret;
    readonly pepperStandby: secrets.Secret;
    /** `username` and `password` for SMTP: filled in by an operator (infra/README.md). */
    readonly mail: secrets.Secret;
  };

  constructor(
    scope: Construct,
    id: string,
    settings: EnvironmentSettings,
    network: NetworkStack,
    props: StackProps,
  ) {
    super(scope, id, props);
    this.key = new kms.Key(this, 'Key', {
      description: `Rollcall, ${settings.name}: database, secrets, logs`,
      enableKeyRotation: true,
      alias: `rollcall/${settings.name}`,
      removalPolicy: settings.database.isKept ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    const login = (name: string, username: string) =>
      this.secret(settings, name, { username, key: 'password' });
    const redis = login('redis', 'rollcall');
    this.database = this.makeDatabase(
      settings,
      network,
      login('database-administrator', databaseRoles.administrator),
    );
    this.cache = this.makeCache(settings, network, redis);
    this.secrets = {
      administrator: this.database.secret as secrets.ISecret,
      api: login('database-api', databaseRoles.api),
      worker: login('database-worker', databaseRoles.worker),
      redisUrl: new secrets.Secret(this, 'RedisUrl', {
        secretName: `rollcall/${settings.name}/redis-url`,
        description: 'REDIS_URL',
        encryptionKey: this.key,
        secretStringValue: SecretValue.unsafePlainText(
          Fn.join('', [
            'rediss://rollcall:',
            redis.secretValueFromJson('password').unsafeUnwrap(),
            '@',
            this.cache.attrPrimaryEndPointAddress,
            ':',
            this.cache.attrPrimaryEndPointPort,
          ]),
        ),
      }),
      signing: this.secret(settings, 'secret-key'),
      pepper: this.secret(settings, 'password-pepper'),
      signingStandby: this.secret(settings, 'secret-key-standby'),
      pepperStandby: this.secret(settings, 'password-pepper-standby'),
      mail: login('mail', 'to-be-filled-in'),
    };
  }

  /** 43 letters and digits are 256 bits, and nothing of them is altered on the way (no $, no quotes). */
  private secret(
    settings: EnvironmentSettings,
    name: string,
    login?: { readonly username: string; readonly key: string },
  ): secrets.Secret {
    return new secrets.Secret(this, `Secret-${name}`, {
      secretName: `rollcall/${settings.name}/${name}`,
      encryptionKey: this.key,
      removalPolicy: settings.database.isKept ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
      generateSecretString: {
        passwordLength: 43,
        excludePunctuation: true,
        ...(login && {
          secretStringTemplate: JSON.stringify({ username: login.username }),
          generateStringKey: login.key,
        }),
      },
    });
  }

  private makeDatabase(
    settings: EnvironmentSettings,
    network: NetworkStack,
    administrator: secrets.Secret,
  ): rds.DatabaseInstance {
    const { database, name } = settings;
    const engine = rds.DatabaseInstanceEngine.postgres({
      version: rds.PostgresEngineVersion.VER_18_3,
    });
    const identifier = `rollcall-${name}`;
    new logs.LogGroup(this, 'DatabaseLog', {
      logGroupName: `/aws/rds/instance/${identifier}/postgresql`,
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    return new rds.DatabaseInstance(this, 'Database', {
      engine,
      instanceIdentifier: identifier,
      instanceType: new ec2.InstanceType(database.instance),
      vpc: network.vpc,
      vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_ISOLATED },
      securityGroups: [network.database],
      credentials: rds.Credentials.fromSecret(administrator, databaseRoles.administrator),
      databaseName: DATABASE_NAME,
      caCertificate: rds.CaCertificate.RDS_CA_RSA2048_G1,
      iamAuthentication: true,
      parameterGroup: new rds.ParameterGroup(this, 'DatabaseParameters', {
        engine,
        parameters: {
          'rds.force_ssl': '1',
          // A transaction that nobody ends would hold its locks, and rows that vacuum cannot remove.
          idle_in_transaction_session_timeout: '60000',
          log_min_duration_statement: '1000',
          // Both hold addresses and password hashes: the values of a slow statement, and the row that an error is about.
          log_parameter_max_length: '0',
          log_error_verbosity: 'terse',
        },
      }),
      multiAz: database.isMultiAz,
      allocatedStorage: database.storageGib,
      maxAllocatedStorage: database.storageGib * 4,
      storageType: rds.StorageType.GP3,
      storageEncrypted: true,
      storageEncryptionKey: this.key,
      backupRetention: Duration.days(database.backupDays),
      preferredBackupWindow: '02:00-03:00',
      preferredMaintenanceWindow: 'tue:03:00-tue:04:00',
      copyTagsToSnapshot: true,
      deleteAutomatedBackups: !database.isKept,
      deletionProtection: database.isKept,
      removalPolicy: database.isKept ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
      autoMinorVersionUpgrade: true,
      cloudwatchLogsExports: ['postgresql'],
      enablePerformanceInsights: false,
    });
  }

  /**
   * Without cluster mode, which a queue cannot use; therefore without the durability option, which needs it. A lost queue is
   * made again from the outbox.
   */
  private makeCache(
    settings: EnvironmentSettings,
    network: NetworkStack,
    login: secrets.Secret,
  ): elasticache.CfnReplicationGroup {
    const { cache, name } = settings;
    const isMultiAz = cache.replicas > 0;
    const subnets = new elasticache.CfnSubnetGroup(this, 'CacheSubnets', {
      description: `Valkey of Rollcall, ${name}`,
      subnetIds: network.vpc.isolatedSubnets.map(({ subnetId }) => subnetId),
    });
    const parameters = new elasticache.CfnParameterGroup(this, 'CacheParameters', {
      cacheParameterGroupFamily: 'valkey8',
      description: `Valkey of Rollcall, ${name}`,
      properties: { 'maxmemory-policy': 'noeviction' },
    });
    const user = new elasticache.CfnUser(this, 'CacheUser', {
      engine: 'valkey',
      userId: `rollcall-${name}`,
      userName: 'rollcall',
      accessString: VALKEY_RULES,
      authenticationMode: {
        Type: 'password',
        Passwords: [login.secretValueFromJson('password').unsafeUnwrap()],
      },
    });
    const users = new elasticache.CfnUserGroup(this, 'CacheUsers', {
      engine: 'valkey',
      userGroupId: `rollcall-${name}`,
      userIds: [user.ref],
    });
    return new elasticache.CfnReplicationGroup(this, 'Cache', {
      replicationGroupDescription: `Queues and rate limits of Rollcall, ${name}`,
      engine: 'valkey',
      engineVersion: '8.1',
      cacheNodeType: cache.instance,
      numNodeGroups: 1,
      replicasPerNodeGroup: cache.replicas,
      automaticFailoverEnabled: isMultiAz,
      multiAzEnabled: isMultiAz,
      clusterMode: 'disabled',
      transitEncryptionEnabled: true,
      transitEncryptionMode: 'required',
      atRestEncryptionEnabled: true,
      kmsKeyId: this.key.keyArn,
      userGroupIds: [users.ref],
      cacheParameterGroupName: parameters.ref,
      cacheSubnetGroupName: subnets.ref,
      securityGroupIds: [network.cache.securityGroupId],
      autoMinorVersionUpgrade: true,
      preferredMaintenanceWindow: 'tue:03:00-tue:04:00',
      snapshotRetentionLimit: 0,
    });
  }
}
