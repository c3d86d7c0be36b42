import test from 'ava';
import { MAX_ID, readId } from '../../shared/database/ids.js';
import { duration } from '../../shared/duration.js';
import { escapeHtml } from '../../shared/escape-html.js';
import { isLocalHost, unmapped } from '../../shared/http/network-address.js';
import { requestIdFrom } from '../../shared/http/request-headers.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

test('special characters of HTML are escaped, others kept', (t) => {
  t.is(
    escapeHtml(`<a href="x" title='y'>&amp;</a>`),
    '&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;',
  );
  t.is(escapeHtml('Zoë 🙂 `plain` text'), 'Zoë 🙂 `plain` text');
});

test('a duration is told in its largest unit', (t) => {
  const told = [-1, 0, 0.03, 0.42, 3, 12.4, 119, 120, 7_169, 7_170, 172_799, 432_000].map(duration);
  t.is(told.join(', '), '0 s, 0 s, 30 ms, 0.4 s, 3 s, 12 s, 119 s, 2 min, 119 min, 2 h, 48 h, 5 d');
});

test('a host is local when public DNS cannot resolve it', (t) => {
  for (const host of [
    ...['localhost', 'LocalHost:8080', 'localhost.', 'a.localhost', '127.0.0.1', '127.0.0.1:80'],
    ...['8.8.8.8', '[::1]', '[::1]:8080', 'worker', 'worker_1:8080', 'printer.local'],
    ...['ip-10-0-0-9.eu-west-1.compute.internal:80', undefined],
  ])
    t.true(isLocalHost(host), host);
  for (const host of [
    ...['', ':80', '.', 'evil.test', 'evil.test:80', 'evil.test.', 'evillocalhost.com'],
    ...['localhost.evil.test', '127.0.0.1.evil.test', '127.0.0.1@evil.test', 'notlocal.test'],
    ...['[::1].evil.test', '[evil.test]', 'localhost:80.evil.test', 'a b', 'local host.local'],
    ...['a.notlocal', 'x.evilinternal', 'a.notlocalhost'],
    ...['127.0.0.1, evil.test', 'evil.test/.local', 'évil.local', '2130706433.evil.test'],
  ])
    t.false(isLocalHost(host), host);
});

test('an IPv4 address that comes mapped into IPv6 is the IPv4 address; all others are left', (t) => {
  t.is(unmapped('::ffff:10.0.0.1'), '10.0.0.1');
  t.is(unmapped('::FFFF:10.0.0.1'), '10.0.0.1');
  for (const address of ['10.0.0.1', '::1', '::ffff:0808:0808', '2001:db8::ffff:1', ''])
    t.is(unmapped(address), address);
});

test('a name of 8 to 64 letters, digits, dashes and underscores is kept', (t) => {
  for (const given of ['12345678', 'a_b-C_d-9', 'x'.repeat(64)]) t.is(requestIdFrom(given), given);
});

test('any other is replaced, by a new one each time', (t) => {
  for (const given of [
    '1234567',
    'x'.repeat(65),
    'with space',
    'line\n12345',
    ['12345678'],
    undefined,
  ])
    t.regex(requestIdFrom(given), /^[0-9a-f-]{36}$/);
  t.not(requestIdFrom(undefined), requestIdFrom(undefined));
});

test('an id is a whole number from 1 to the largest that PostgreSQL’s integer holds', (t) => {
  for (const id of [1, 999_999_999, 1_000_000_000, MAX_ID]) t.is(readId(String(id)), id);
  for (const text of ['', '0', '-1', '01', '1.0', '1e3', ' 1', '1\n', '٣', String(MAX_ID + 1)])
    t.is(readId(text), undefined, text);
});
