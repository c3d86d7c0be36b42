import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { environments, repository } from '../settings/index.js';
import { acknowledge } from '../stacks/acknowledged.js';
import { addStacks } from '../stacks/stacks.js';
import { projectRoot, synthesize } from './synthesis.js';

const page = readFileSync(join(projectRoot, 'docs', 'deploy.md'), 'utf8');
const { templates } = synthesize((app) => {
  addStacks(app, { environments, repository });
  acknowledge(app);
});

/** The part of the page below a heading. */
function section(heading: string): string {
  const [, ...parts] = page.split(/^(?=## )/m);
  const found = parts.find((part) => part.startsWith(`## ${heading}\n`));
  assert.ok(found, `docs/deploy.md has no section ${heading}`);
  return found;
}

const namesIn = (text: string): string[] =>
  [...text.matchAll(/`([^`]+)`/g)].flatMap(([, name]) => (name === undefined ? [] : [name]));

test('the page says of every secret how it is changed, and of no other', () => {
  const secrets = Object.values(templates)
    .flatMap(({ Resources }) => Object.values(Resources))
    .filter(({ Type }) => Type === 'AWS::SecretsManager::Secret')
    .map(({ Properties }) => String(Properties?.['Name']).split('/').at(-1));
  const rows = section('Change a secret').matchAll(/^\| ([^|]+) \|/gm);
  const told = [...rows].flatMap(([, cell = '']) => namesIn(cell));
  // A standby is changed with what it stands by for. Variables are not secrets of the stacks.
  const wanted = new Set(secrets.filter((name) => !name?.endsWith('-standby')));
  assert.deepEqual(
    told.filter((name) => !/^[A-Z_]+$/.test(name)).toSorted(),
    [...wanted].toSorted(),
  );
});

test('every stack that the page names exists, and every part of an environment is named', () => {
  const parts = new Set(
    Object.keys(templates).map((stack) =>
      stack.replace(/-(development|staging|production)-/, '-ENV-'),
    ),
  );
  assert.equal(parts.size, 8);
  for (const part of parts) assert.ok(page.includes(`\`${part}\``), `${part} is not on the page`);
  for (const name of namesIn(page).filter((each) => /^rollcall-ENV-[a-z]+$/.test(each)))
    assert.ok(parts.has(name), `${name} is no stack`);
});

test('by hand and with the CDK the same alarms are passed on', () => {
  const [, pattern = ''] = /--event-pattern '([^']+)'/.exec(section('By hand')) ?? [];
  const [rule] = Object.values(templates['rollcall-production-alarms']?.Resources ?? {}).filter(
    ({ Type }) => Type === 'AWS::Events::Rule',
  );
  assert.deepEqual(JSON.parse(pattern), rule?.Properties?.['EventPattern']);
});

test('the role that OpenSearch needs in a VPC is made before the first environment', () => {
  const steps = section('With the CDK');
  const role = steps.indexOf('create-service-linked-role --aws-service-name opensearchservice');
  const first = steps.indexOf("npm run deploy -- 'rollcall-");
  assert.ok(role >= 0 && role < first);
});

test('the costs count the secrets that an environment has', () => {
  for (const { name } of environments) {
    const own = Object.entries(templates)
      .filter(([stack]) => stack.startsWith(`rollcall-${name}-`))
      .flatMap(([, { Resources }]) => Object.values(Resources));
    const secrets = own.filter(({ Type }) => Type === 'AWS::SecretsManager::Secret');
    assert.ok(section('What it costs').includes(`| ${secrets.length} secrets at 0.40,`), name);
  }
});
