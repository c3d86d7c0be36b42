import assert from 'node:assert/strict';
import test from 'node:test';
import { CfnResource, Stack, type App } from 'aws-cdk-lib';
import { CfnBucket } from 'aws-cdk-lib/aws-s3';
import { environments, repository } from '../settings/index.js';
import { acknowledged, placeOf, ruleIn } from '../stacks/acknowledged.js';
import { addStacks } from '../stacks/stacks.js';
import { synthesize } from './synthesis.js';

// The cheapest has the most to acknowledge.
const addCheapest = (app: App): void =>
  void addStacks(app, { environments: environments.slice(0, 1), repository });

test('what is acknowledged is found, and has a reason', () => {
  const { findings } = synthesize(addCheapest);
  const region = environments[0]?.region ?? '';
  for (const { at, rules, reason } of acknowledged) {
    assert.match(reason, /\w.{20,}\.$/);
    for (const rule of rules) {
      const isFound = findings.some(
        (finding) => finding.rule === ruleIn(rule, region) && at.test(placeOf(finding.path)),
      );
      assert.ok(isFound, `${String(at)} ${rule} is not found any more`);
    }
  }
});

test('a fault is found: a bucket without encryption in transit', () => {
  const { findings } = synthesize((app) => {
    new CfnBucket(new Stack(app, 'planted'), 'Bucket');
  });
  assert.ok(findings.some(({ rule }) => rule === 'AwsSolutions-S10'));
});

test('a fault is found: a property that does not exist', () => {
  const { findings } = synthesize((app) => {
    new CfnResource(new Stack(app, 'planted'), 'Topic', {
      type: 'AWS::SNS::Topic',
      properties: { Planted: true },
    });
  });
  assert.ok(
    findings.some(({ description }) => description.includes('Planted')),
    JSON.stringify(findings),
  );
});
