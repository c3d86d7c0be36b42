import { readFileSync } from 'node:fs';
import { Validator } from '@seriousme/openapi-schema-validator';
import test from 'ava';
import { createApp } from '../../api/app.js';
import { buildDeps } from '../../api/deps.js';
import { readOpenApiDocument } from '../../api/openapi/docs.routes.js';
import { loadApiConfig } from '../../shared/config/config.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { OPENAPI_FILE } from '../helpers/contract.js';
import { environment } from '../helpers/env.js';
import { createRecordingLogger } from '../helpers/log.js';
import {
  METHODS,
  operationsOf,
  readDocument,
  resolvePointer,
  routesOf,
} from '../helpers/openapi.js';

shareProcess();

const context = useContext();
const document = readDocument();
const operations = operationsOf(document);

test('it is valid OpenAPI 3.1', async (t) => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(readFileSync(OPENAPI_FILE, 'utf8'));
  t.true(valid, JSON.stringify(errors));
  t.is(validator.version, '3.1');
});

test('what is served is what is documented, both ways', async (t) => {
  const config = loadApiConfig(environment(context));
  const deps = await buildDeps(config, {
    log: createRecordingLogger().log,
    onStop: (_, release) =>
      t.teardown(async () => release({ reason: 'the test is over', exitCode: 0 })),
  });
  const app = createApp(deps, readOpenApiDocument(config.passwords.minLength), {
    publicUrl: config.publicUrl,
    trustProxy: config.http.trustProxy,
    passwordMinLength: config.passwords.minLength,
    isStopping: () => false,
  });
  // Swagger UI is mounted, not routed: the test of its page is in security/http-pages.test.ts.
  const served = [...routesOf(app), 'get /apidocs'];
  t.deepEqual(
    served.toSorted(),
    operations.map(({ method, path }) => `${method} ${path}`).toSorted(),
  );
});

test('every reference leads somewhere', (t) => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(
    ([, target = '']) => target,
  );
  t.true(references.length > 50);
  for (const target of new Set(references))
    t.not(resolvePointer(document, target), undefined, target);
});

test('what "Try it out" proposes changes nothing that was not asked for', (t) => {
  const proposed = new Map<string, string[]>();
  for (const { method, path, operation } of operations) {
    for (const { schema, example } of Object.values(operation.requestBody?.content ?? {})) {
      const { properties, required = ['name'] } = resolvePointer(document, schema.$ref ?? '') as {
        readonly properties: Readonly<Record<string, object>>;
        readonly required?: readonly string[];
      };
      const fields = Object.keys(example ?? properties);
      proposed.set(`${method} ${path}`, fields);
      if (example !== undefined) t.deepEqual(fields, required, `${method} ${path}`);
    }
  }
  t.false(proposed.get('post /auth/confirm')?.includes('name'));
  t.deepEqual(proposed.get('put /auth/me'), ['name']);
  t.deepEqual(proposed.get('put /users/{id}'), ['name']);
  t.deepEqual(proposed.get('put /user'), ['name']);
  t.deepEqual(proposed.get('post /users'), ['email', 'name', 'active']);
});

test('every component is used', (t) => {
  const text = JSON.stringify(document);
  for (const [kind, components] of Object.entries(document.components)) {
    if (kind === 'securitySchemes') continue;
    for (const name of Object.keys(components)) {
      t.true(text.includes(`"#/components/${kind}/${name}"`), `${kind}/${name}`);
    }
  }
});

test('every operation has an id of its own, a summary, and a tag that the document knows', (t) => {
  const ids = operations.map(({ operation }) => operation.operationId);
  t.is(new Set(ids).size, operations.length);
  const tags = new Set(document.tags.map(({ name }) => name));
  for (const { method, path, operation } of operations) {
    const name = `${method} ${path}`;
    t.regex(operation.operationId ?? '', /^[a-z][A-Za-z]+$/, name);
    t.truthy(operation.summary, name);
    t.true(operation.tags?.length === 1 && tags.has(operation.tags[0] ?? ''), name);
  }
});

test('every operation needs a token or says that it needs none', (t) => {
  t.deepEqual(document.security, [{ accessToken: [] }]);
  const open = operations.filter(({ operation }) => operation.security !== undefined);
  for (const { path, operation } of open) t.deepEqual(operation.security, [], path);
  t.deepEqual(
    [...new Set(open.map(({ path }) => path))].filter(
      (path) => path.startsWith('/user') || path === '/auth/me',
    ),
    [],
  );
});

test('every operation documents the problems that any request of its kind can meet', (t) => {
  for (const { method, path, operation } of operations) {
    const statuses = new Set(Object.keys(operation.responses));
    const expected = ['500', '503'];
    if (operation.security === undefined) expected.push('401');
    if (operation.requestBody !== undefined) expected.push('400', '413', '415', '422');
    if (path.includes('{')) expected.push('404', '422');
    for (const status of expected)
      t.true(statuses.has(status), `${method} ${path} has no ${status}`);
  }
});

test('every error is a problem document', (t) => {
  for (const { method, path, operation } of operations) {
    for (const [status, given] of Object.entries(operation.responses)) {
      if (Number(status) < 400) continue;
      const response = given.$ref === undefined ? given : resolvePointer(document, given.$ref);
      const content = (response as { content?: Record<string, { schema: unknown }> }).content ?? {};
      const isPageOrReadiness =
        path === '/health/ready' || Object.keys(content).join() === 'text/html';
      if (isPageOrReadiness) continue;
      t.deepEqual(
        content['application/problem+json']?.schema,
        { $ref: '#/components/schemas/Problem' },
        `${method} ${path} ${status}`,
      );
    }
  }
});

test('routes describe bodies by reference alone: zod is where their shapes are', (t) => {
  t.false(JSON.stringify(document.paths).includes('"properties"'));
});

test('every parameter in a path is documented, and no other', (t) => {
  for (const { method, path, operation } of operations) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const documented = (operation.parameters ?? [])
      .map((given) => (given.$ref === undefined ? given : resolvePointer(document, given.$ref)))
      .map((parameter) => parameter as { in: string; name: string })
      .filter((parameter) => parameter.in === 'path');
    t.deepEqual(
      documented.map(({ name }) => name),
      inPath,
      `${method} ${path}`,
    );
  }
});

test('requests refuse unknown fields, and the document says so', (t) => {
  const requests = Object.entries(document.components['schemas'] ?? {}).filter(([name]) =>
    name.endsWith('Request'),
  );
  t.true(requests.length >= 8);
  for (const [name, schema] of requests) {
    t.is((schema as { additionalProperties?: unknown }).additionalProperties, false, name);
  }
});

test('METHODS holds every method that the document uses', (t) => {
  const used = Object.values(document.paths).flatMap((item) => Object.keys(item));
  t.deepEqual(
    used.filter((key) => !METHODS.has(key)),
    [],
  );
});
