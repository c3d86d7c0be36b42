import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { environments, repository } from './settings/index.js';
import { acknowledge } from './stacks/acknowledged.js';
import { addStacks } from './stacks/stacks.js';

// What the CDK's command line runs (cdk.json). A finding that is not acknowledged fails it.
const app = new App();
addStacks(app, { environments, repository });
acknowledge(app);
Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
app.synth();
