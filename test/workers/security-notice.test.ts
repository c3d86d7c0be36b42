import test from 'ava';
import { useContext } from '../helpers/context.js';
import { setUpDelivery } from './delivery-fixture.js';
import { insertAdmin, insertMessage } from './fixture.js';

const context = useContext();

test('a notice goes to the address that the account had at the change, though it has moved since', async (t) => {
  const { server, deliver } = await setUpDelivery(t, context);
  const { adminId, email } = await insertAdmin(context);
  const payload = { v: 1, admin_id: adminId, notice: 'email_change_requested' };
  const id = await insertMessage(context, adminId, 'send-security-notice', payload, {
    recipient: email,
  });
  const moved = context.uniqueAddress('moved');
  await context.rows('update admins set email = $2, email_canonical = $2 where id = $1', [
    adminId,
    moved,
  ]);
  t.is(await deliver({ id }), 'sent');
  t.deepEqual(
    server.taken.map(({ to }) => to),
    [[email]],
  );
});
