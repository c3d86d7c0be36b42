import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import * as codebuild from 'aws-cdk-lib/aws-codebuild';
import * as codepipeline from 'aws-cdk-lib/aws-codepipeline';
import * as actions from 'aws-cdk-lib/aws-codepipeline-actions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as secrets from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import type { EnvironmentSettings } from '../environment.js';
import { DATABASE_NAME, databaseRoles } from './data.js';
import type { ServiceParts, ServiceStack } from './service.js';

const DATABASE_CA = 'https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem';
const NODE = { 'runtime-versions': { nodejs: 22 } };
const { SECRETS_MANAGER } = codebuild.BuildEnvironmentVariableType;
type Variables = Readonly<Record<string, codebuild.BuildEnvironmentVariable>>;

/**
 * The pipeline of an environment: bundles are made of images that exist, the owner of the tables migrates, then workers are
 * deployed, then the API, then somebody tries it. Nothing starts by a push: a workflow on GitHub starts it with a commit when
 * its tests have passed and its images are there.
 */
export class DeliveryStack extends Stack {
  private readonly key;
  private readonly log: logs.LogGroup;
  private readonly source = new codepipeline.Artifact('source');

  constructor(
    scope: Construct,
    id: string,
    private readonly settings: EnvironmentSettings,
    private readonly parts: ServiceParts & { readonly service: ServiceStack },
    props: StackProps,
  ) {
    super(scope, id, props);
    const { name } = settings;
    this.key = parts.data.key;
    this.log = new logs.LogGroup(this, 'BuildLog', {
      logGroupName: `/rollcall/${name}/delivery`,
      retention: logs.RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const pipeline = new codepipeline.Pipeline(this, 'Pipeline', {
      pipelineName: `rollcall-${name}`,
      pipelineType: codepipeline.PipelineType.V2,
      // A newer commit waits behind the one under way, and replaces those that wait.
      executionMode: codepipeline.ExecutionMode.SUPERSEDED,
      restartExecutionOnUpdate: false,
      artifactBucket: this.makeArtifacts(),
    });
    this.addStages(pipeline);
    const role = parts.account.githubRole('StartPipeline', name, this);
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['codepipeline:StartPipelineExecution', 'codepipeline:GetPipelineExecution'],
        resources: [pipeline.pipelineArn],
      }),
    );
    new CfnOutput(this, 'StartPipelineRole', { value: role.roleArn });
  }

  private addStages(pipeline: codepipeline.Pipeline): void {
    const { settings, parts, source } = this;
    const web = new codepipeline.Artifact('web');
    const worker = new codepipeline.Artifact('worker');
    const { owner, name } = parts.account.repository;
    const stage = (stageName: string, action: codepipeline.IAction): void =>
      void pipeline.addStage({ stageName, actions: [action] });
    stage(
      'Source',
      new ConnectedSource({
        actionName: 'GitHub',
        connectionArn: parts.account.connection.attrConnectionArn,
        owner,
        repo: name,
        branch: settings.branch,
        output: source,
        // With its history: images are found by the tree of the commit.
        codeBuildCloneOutput: true,
        triggerOnPush: false,
      }),
    );
    stage('Bundle', this.build('Bundles', this.bundleProject(), [web, worker]));
    if (settings.isApproved)
      stage(
        'Approval',
        new actions.ManualApprovalAction({
          actionName: 'Approve',
          additionalInformation: `Deploys to ${settings.name}. Migrations have not run yet.`,
        }),
      );
    stage('Migrate', this.build('Migrate', this.migrateProject()));
    stage('Worker', this.deploy('worker', worker));
    stage('Api', this.deploy('web', web));
    stage('Smoke', this.build('Smoke', this.smokeProject()));
  }

  private build(
    actionName: string,
    project: codebuild.PipelineProject,
    outputs: codepipeline.Artifact[] = [],
  ): actions.CodeBuildAction {
    // What a clone needs beside the artifact.
    project.addToRolePolicy(
      new iam.PolicyStatement({
        actions: ['codeconnections:UseConnection', 'codestar-connections:UseConnection'],
        resources: [this.parts.account.connection.attrConnectionArn],
      }),
    );
    return new actions.CodeBuildAction({ actionName, project, input: this.source, outputs });
  }

  private deploy(
    tier: 'web' | 'worker',
    input: codepipeline.Artifact,
  ): actions.ElasticBeanstalkDeployAction {
    const { service } = this.parts;
    return new DeployWithResources({
      actionName: 'Deploy',
      applicationName: service.applicationName,
      environmentName: service.environmentNames[tier],
      input,
    });
  }

  /** Puts the images of this very tree into both bundles, by digest. Nothing is compiled. */
  private bundleProject(): codebuild.PipelineProject {
    const { api, worker } = this.parts.account.images;
    const digest = (name: string): string =>
      `${name}=$(aws ecr describe-images --repository-name rollcall-${name} --image-ids imageTag=$tree --query 'imageDetails[0].imageDigest' --output text)`;
    const project = this.project('Bundles', {
      variables: { API: { value: api.repositoryUri }, WORKER: { value: worker.repositoryUri } },
      commands: [
        "tree=$(git rev-parse 'HEAD^{tree}')",
        digest('api'),
        digest('worker'),
        `curl -fsS -o database-ca.pem ${DATABASE_CA}`,
        'npm ci --ignore-scripts --no-audit --no-fund',
        'npm run bundle -- --api "$API@$api" --worker "$WORKER@$worker" --database-ca database-ca.pem',
        'for tier in web worker; do mkdir -p dist/eb/$tier && unzip -q dist/eb/$tier-*.zip -d dist/eb/$tier; done',
      ],
      artifacts: {
        'secondary-artifacts': Object.fromEntries(
          ['web', 'worker'].map((tier) => [
            tier,
            { 'base-directory': `dist/eb/${tier}`, files: ['**/*'] },
          ]),
        ),
      },
    });
    for (const images of [api, worker]) images.grant(project, 'ecr:DescribeImages');
    return project;
  }

  /** Migrations as the owner of the tables, between making the roles and granting them; no instance has the administrator's password. */
  private migrateProject(): codebuild.PipelineProject {
    const { data, logs: logging, network } = this.parts;
    const part = (secret: secrets.ISecret, key: string) => ({
      type: SECRETS_MANAGER,
      value: `${secret.secretArn}:${key}`,
    });
    const project = this.project('Migrate', {
      vpc: network.vpc,
      securityGroups: [network.clients],
      variables: {
        NODE_ENV: { value: 'production' },
        POSTGRES_HOST: { value: data.database.dbInstanceEndpointAddress },
        POSTGRES_DB: { value: DATABASE_NAME },
        POSTGRES_USER: { value: databaseRoles.administrator },
        POSTGRES_PASSWORD: part(data.secrets.administrator, 'password'),
        POSTGRES_CA_FILE: { value: 'database-ca.pem' },
        DATABASE_API_ROLE: { value: databaseRoles.api },
        DATABASE_API_PASSWORD: part(data.secrets.api, 'password'),
        DATABASE_WORKER_ROLE: { value: databaseRoles.worker },
        DATABASE_WORKER_PASSWORD: part(data.secrets.worker, 'password'),
        SEARCH: { value: logging.domain.attrDomainEndpoint },
        SEARCH_PASSWORD: part(logging.administrator, 'password'),
        DELIVERY_ROLE: { value: logging.deliveryRole.roleArn },
      },
      commands: [
        `curl -fsS -o database-ca.pem ${DATABASE_CA}`,
        'npm ci --include=dev --ignore-scripts --no-audit --no-fund',
        'npm run --silent build',
        'node dist/dev/scripts/database-roles.js logins',
        'node dist/dev/scripts/database-roles.js migrate',
        'node dist/dev/scripts/database-roles.js grants',
        // What Firehose may do in OpenSearch is decided there.
        ...allowDelivery(),
      ],
    });
    return project;
  }

  /** As a client would. With an account of its own in the secret it logs in and writes, too. */
  private smokeProject(): codebuild.PipelineProject {
    const account = new secrets.Secret(this, 'SmokeAccount', {
      secretName: `rollcall/${this.settings.name}/smoke`,
      description: 'A confirmed admin, for the smoke test: filled in by an operator',
      encryptionKey: this.key,
      generateSecretString: {
        secretStringTemplate: JSON.stringify({ email: '' }),
        generateStringKey: 'password',
        excludePunctuation: true,
      },
    });
    const url = `https://${this.settings.domain}`;
    return this.project('Smoke', {
      variables: {
        SMOKE_EMAIL: { type: SECRETS_MANAGER, value: `${account.secretArn}:email` },
        SMOKE_PASSWORD: { type: SECRETS_MANAGER, value: `${account.secretArn}:password` },
      },
      commands: [
        `curl -fsS --retry 10 --retry-all-errors --retry-delay 6 ${url}/health/ready`,
        `if [ -n "$SMOKE_EMAIL" ]; then npm run smoke -- ${url}; else echo 'No account for the smoke test.'; fi`,
      ],
    });
  }

  private project(
    id: string,
    options: {
      readonly variables: Variables;
      readonly commands: readonly string[];
      readonly artifacts?: object;
      readonly vpc?: ec2.IVpc;
      readonly securityGroups?: ec2.ISecurityGroup[];
    },
  ): codebuild.PipelineProject {
    const { variables, commands, artifacts, vpc, securityGroups } = options;
    return new codebuild.PipelineProject(this, id, {
      projectName: `rollcall-${this.settings.name}-${id.toLowerCase()}`,
      environment: {
        buildImage: codebuild.LinuxBuildImage.STANDARD_7_0,
        computeType: codebuild.ComputeType.SMALL,
      },
      environmentVariables: variables,
      encryptionKey: this.key,
      timeout: Duration.minutes(30),
      logging: { cloudWatch: { logGroup: this.log } },
      ...(vpc && securityGroups && { vpc, securityGroups }),
      buildSpec: codebuild.BuildSpec.fromObject({
        version: '0.2',
        // Each command as one of bash; the first that fails ends the phase.
        env: { shell: 'bash' },
        phases: { install: NODE, build: { commands } },
        ...(artifacts && { artifacts }),
      }),
    });
  }

  private makeArtifacts(): s3.Bucket {
    return new s3.Bucket(this, 'Artifacts', {
      encryption: s3.BucketEncryption.KMS,
      encryptionKey: this.key,
      bucketKeyEnabled: true,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
      removalPolicy: RemovalPolicy.DESTROY,
      lifecycleRules: [{ expiration: Duration.days(90) }],
    });
  }
}

/** A connection is used by the action of its own service prefix; the CDK grants only that of the service's former name. */
class ConnectedSource extends actions.CodeStarConnectionsSourceAction {
  constructor(private readonly own: actions.CodeStarConnectionsSourceActionProps) {
    super(own);
  }

  protected override bound(
    scope: Construct,
    stage: codepipeline.IStage,
    options: codepipeline.ActionBindOptions,
  ): codepipeline.ActionConfig {
    options.role.addToPrincipalPolicy(
      new iam.PolicyStatement({
        actions: ['codeconnections:UseConnection'],
        resources: [this.own.connectionArn],
      }),
    );
    return super.bound(scope, stage, options);
  }
}

/** Elastic Beanstalk makes the resources of a bundle with the rights of who deploys it: here a topic and SES's part. */
class DeployWithResources extends actions.ElasticBeanstalkDeployAction {
  protected override bound(
    scope: Construct,
    stage: codepipeline.IStage,
    options: codepipeline.ActionBindOptions,
  ): codepipeline.ActionConfig {
    const stack = Stack.of(scope);
    const inRegion = (service: string, resource: string) => stack.formatArn({ service, resource });
    options.role.addToPrincipalPolicy(
      new iam.PolicyStatement({
        actions: [
          'sns:CreateTopic',
          'sns:DeleteTopic',
          'sns:GetTopicAttributes',
          'sns:SetTopicAttributes',
          'sns:Subscribe',
          'sns:Unsubscribe',
          'sns:ListSubscriptionsByTopic',
          'sns:GetSubscriptionAttributes',
          'sns:SetSubscriptionAttributes',
          'sns:TagResource',
          'sns:ListTagsForResource',
          'sns:GetDataProtectionPolicy',
        ],
        resources: [inRegion('sns', 'awseb-*')],
      }),
    );
    options.role.addToPrincipalPolicy(
      new iam.PolicyStatement({
        actions: [
          'ses:CreateConfigurationSet',
          'ses:DeleteConfigurationSet',
          'ses:DescribeConfigurationSet',
          'ses:GetConfigurationSet',
          'ses:GetConfigurationSetEventDestinations',
          'ses:PutConfigurationSetDeliveryOptions',
          'ses:PutConfigurationSetSuppressionOptions',
          'ses:CreateConfigurationSetEventDestination',
          'ses:UpdateConfigurationSetEventDestination',
          'ses:DeleteConfigurationSetEventDestination',
          'ses:TagResource',
        ],
        resources: [inRegion('ses', 'configuration-set/*')],
      }),
    );
    return super.bound(scope, stage, options);
  }
}

/** Idempotent: a role that may write the indexes of log lines, for Firehose alone. */
function allowDelivery(): string[] {
  const role = JSON.stringify({
    cluster_permissions: ['cluster_composite_ops', 'cluster_monitor'],
    index_permissions: [
      { index_patterns: ['rollcall-*'], allowed_actions: ['create_index', 'crud', 'manage'] },
    ],
  });
  const put = (path: string, body: string): string =>
    `curl -fsS -u "administrator:$SEARCH_PASSWORD" -X PUT "https://$SEARCH/_plugins/_security/api/${path}" -H 'content-type: application/json' -d ${body}`;
  return [
    put('roles/rollcall_delivery', `'${role}'`),
    put('rolesmapping/rollcall_delivery', '"{\\"backend_roles\\":[\\"$DELIVERY_ROLE\\"]}"'),
  ];
}
