import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import * as codeconnections from 'aws-cdk-lib/aws-codeconnections';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { githubSubject, type RepositorySettings } from '../environment.js';

const GITHUB = 'token.actions.githubusercontent.com';
/** The environment on GitHub whose jobs may push images. */
export const IMAGES_ENVIRONMENT = 'images';

/** What an account has once: the registries of images, and what GitHub may do. */
export class AccountStack extends Stack {
  readonly images: { readonly api: ecr.Repository; readonly worker: ecr.Repository };
  readonly connection: codeconnections.CfnConnection;
  readonly githubProvider: iam.OidcProviderNative;

  constructor(
    scope: Construct,
    id: string,
    readonly repository: RepositorySettings,
    props: StackProps,
  ) {
    super(scope, id, props);
    this.images = { api: this.makeImages('api'), worker: this.makeImages('worker') };
    // Pending until an owner of the repository agrees to it in the console.
    this.connection = new codeconnections.CfnConnection(this, 'GitHub', {
      connectionName: `rollcall-${repository.owner}`.slice(0, 32),
      providerType: 'GitHub',
    });
    this.githubProvider = new iam.OidcProviderNative(this, 'GitHubTokens', {
      url: `https://${GITHUB}`,
      clientIds: ['sts.amazonaws.com'],
    });
    const pushing = this.githubRole('PushImages', IMAGES_ENVIRONMENT);
    this.images.api.grantPullPush(pushing);
    this.images.worker.grantPullPush(pushing);
    new CfnOutput(this, 'PushImagesRole', { value: pushing.roleArn });
  }

  /** A role for the jobs of one environment on GitHub, and for no others. */
  githubRole(name: string, environment: string, scope: Construct = this): iam.Role {
    return new iam.Role(scope, name, {
      description: `GitHub, environment ${environment} of ${this.repository.owner}/${this.repository.name}`,
      maxSessionDuration: Duration.hours(1),
      assumedBy: new iam.OpenIdConnectPrincipal(this.githubProvider, {
        StringEquals: {
          [`${GITHUB}:aud`]: 'sts.amazonaws.com',
          [`${GITHUB}:sub`]: githubSubject(this.repository, environment),
        },
      }),
    });
  }

  private makeImages(name: 'api' | 'worker'): ecr.Repository {
    return new ecr.Repository(this, `Images-${name}`, {
      repositoryName: `rollcall-${name}`,
      imageTagMutability: ecr.TagMutability.IMMUTABLE,
      imageScanOnPush: true,
      encryption: ecr.RepositoryEncryption.AES_256,
      removalPolicy: RemovalPolicy.RETAIN,
      // A rollback needs the images of what it goes back to.
      lifecycleRules: [{ maxImageCount: 200, description: 'the newest 200' }],
    });
  }
}
