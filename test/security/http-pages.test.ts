import test from 'ava';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { operationsOf, readDocument } from '../helpers/openapi.js';
import { exchange } from '../helpers/raw-http.js';

const context = useContext();
const api = useApi(context);

const FOREIGN = [
  '?url=//evil.test/x.json',
  '?url=https://evil.test/x.json',
  '?configUrl=https://evil.test/c.json',
  '?urls.primaryName=evil',
  '?oauth2RedirectUrl=https://evil.test/',
];

test('S62 Swagger UI runs scripts of its own alone, and its policy lets through no other', async (t) => {
  for (const path of ['/apidocs', '/apidocs/']) {
    const { status, headers, text } = await api.client.raw('GET', path);
    t.is(status, 200);
    const policy = headers.get('content-security-policy') ?? '';
    for (const directive of [
      "default-src 'none'",
      "script-src 'self'",
      "connect-src 'self'",
      "base-uri 'none'",
    ]) {
      t.true(policy.split('; ').includes(directive), directive);
    }
    const scripts = [...text.matchAll(/<script([^>]*)>([^<]*)/g)];
    t.is(scripts.length, 3);
    for (const [, attributes = '', inline = ''] of scripts) {
      t.is(inline.trim(), '');
      const source = /^ src="([^"]+)"$/.exec(attributes)?.[1] ?? '';
      const { pathname, origin } = new URL(source, `${api.client.baseUrl}${path}`);
      t.is(origin, api.client.baseUrl);
      t.is((await api.client.raw('GET', pathname)).status, 200, source);
    }
    t.notRegex(text, /\son\w+=|javascript:|(?:src|href)="(?:https?:)?\/\//i);
  }
});

test('S62 no parameter of its address makes Swagger UI load another document', async (t) => {
  const page = await api.client.raw('GET', '/apidocs/');
  const script = await api.client.raw('GET', '/apidocs/swagger-ui-init.js');
  for (const query of FOREIGN) {
    t.is((await api.client.raw('GET', `/apidocs/${query}`)).text, page.text, query);
    t.is(
      (await api.client.raw('GET', `/apidocs/swagger-ui-init.js${query}`)).text,
      script.text,
      query,
    );
  }
  t.regex(script.text, /"swaggerDoc": \{/, 'the document is in the script: none is fetched');
  t.regex(script.text, /"validatorUrl": null/);
  t.regex(script.text, /"persistAuthorization": false/);
  t.notRegex(script.text, /queryConfigEnabled|configUrl|preauthorize\w*"|swaggerUrls"/);
});

test('S62 of Swagger UI’s package nothing is served but what the page loads', async (t) => {
  for (const file of [
    'index.html',
    'swagger-initializer.js',
    'oauth2-redirect.html',
    'swagger-ui.css.map',
    'swagger-ui-es-bundle.js',
    'package.json',
    'README.md',
    'LICENSE',
    '.npmrc',
    'nothing.css',
    '..%2fpackage.json',
    '%2e%2e/package.json',
  ]) {
    const { status, headers } = await api.client.raw('GET', `/apidocs/${file}`);
    t.deepEqual([status, headers.get('content-type')], [404, 'application/problem+json'], file);
  }
});

test('S62 the document’s examples hold nothing that looks like a real token', (t) => {
  t.notRegex(
    JSON.stringify(readDocument()),
    /eyJ[\w-]{10}|\b[a-z]{2}_[0-9a-f]{16}|AKIA[0-9A-Z]{16}|-----BEGIN/,
  );
});

test('S63 nothing redirects, neither to another host nor anywhere', async (t) => {
  const targets = [
    '//evil.test',
    '//evil.test/%2e%2e',
    '/\\evil.test',
    '/%5cevil.test',
    '/%2f%2fevil.test',
    '/.evil.test',
    '/apidocs//evil.test',
    '/apidocs/..//evil.test',
    '/apidocs/%2f%2fevil.test',
    '/apidocs/%5cevil.test/',
    '/apidocs%2f',
    'http://evil.test/apidocs',
    'http://evil.test//evil.test/apidocs',
  ];
  const paths = operationsOf(readDocument())
    .filter(({ method }) => method === 'get')
    .flatMap(({ path }) =>
      ['next', 'redirect', 'redirect_to', 'returnTo', 'return_url', 'continue'].map(
        (name) => `${path.replace('{id}', '1')}?${name}=https://evil.test/&token=x`,
      ),
    );
  t.true(paths.length > 50);
  for (const target of [...targets, ...paths]) {
    const request = `GET ${target} HTTP/1.1\r\nHost: evil.test\r\nX-Forwarded-Host: evil.test\r\nConnection: close\r\n\r\n`;
    const { status, headers, body } = await exchange(api.process.url, request);
    t.false(status >= 300 && status < 400, target);
    for (const name of ['location', 'refresh', 'link', 'content-location'])
      t.false(headers.has(name), target);
    t.notRegex(body, /http-equiv|(?:href|action)="[^"]*evil/i, target);
  }
});
