import test from 'ava';
import { unmapped } from '../../../shared/http/mapped-address.js';

test('an IPv4 address that comes mapped into IPv6 is the IPv4 address; all others are left', (t) => {
  t.is(unmapped('::ffff:10.0.0.1'), '10.0.0.1');
  t.is(unmapped('::FFFF:10.0.0.1'), '10.0.0.1');
  for (const address of ['10.0.0.1', '::1', '::ffff:0808:0808', '2001:db8::ffff:1', ''])
    t.is(unmapped(address), address);
});
