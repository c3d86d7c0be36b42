import test from 'ava';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import type { Problem } from '../helpers/problem.js';

const context = useContext();
const api = useApi(context);

test.serial(
  'S13 a name that a script or an emoji needs invisible characters for is kept as it is (field: Conversations #1996, defuddle #103)',
  async (t) => {
    const admin = await api.admins.confirmedAdmin();
    for (const name of [
      'علی\u200cرضا محمدی',
      'ශ\u0dca\u200dරියානි පෙරේරා',
      'Ann \u{1f469}\u200d\u{1f4bb}',
      'Ann \u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}',
    ]) {
      const email = context.uniqueAddress('user');
      const { status, body } = await admin.client.post<{ name: string }>('/users', { email, name });
      t.deepEqual([status, body.name], [201, name]);
      const changed = await admin.client.put<{ name: string }>('/auth/me', { name });
      t.deepEqual([changed.status, changed.body.name], [200, name]);
      const another = await api.admins.confirmedAdmin({ name: `${name} ${context.id}` });
      t.is(
        (await another.client.get<{ name: string }>('/auth/me')).body.name,
        `${name} ${context.id}`,
      );
    }
  },
);

test.serial(
  'S13 a name with nothing to see or with what no text holds is refused at every door (field: discourse PR 21331, garrysmod-issues #5908)',
  async (t) => {
    const admin = await api.admins.confirmedAdmin();
    const { body: user } = await admin.client.post<{ id: number }>('/users', {
      email: context.uniqueAddress('user'),
    });
    for (const name of [
      '\u3164',
      '\uffa0',
      '\u115f\u1160',
      '\u2800',
      '\u034f',
      '\ufe0f',
      '\u180b',
      '\u17b4',
      '\u0301\u0302',
      '\ue000',
      '\uffff',
      'Ren\ufffd',
      'Tess\u202eBase',
      'Te\u200bss',
      'Te\u00adss',
      'Te\u200dss',
      '=?utf-8?q?Tess?=',
    ]) {
      const answers = [
        await api.client.post<Problem>('/auth/register', api.admins.applicant({ name })),
        await admin.client.put<Problem>('/auth/me', { name }),
        await admin.client.post<Problem>('/users', { email: context.uniqueAddress('user'), name }),
        await admin.client.put<Problem>(`/users/${user.id}`, { name }),
      ];
      for (const { status, body } of answers)
        t.deepEqual(
          [status, body.code, body.errors?.map(({ pointer }) => pointer)],
          [422, 'validation_failed', ['#/name']],
          JSON.stringify(name),
        );
    }
  },
);

test.serial(
  'S13 a name that differs from a confirmed admin’s by what nobody sees or by case is taken (field: mucklet-client #402, cadasta-platform PR 1153)',
  async (t) => {
    const tess = `Tess Base ${context.id}`;
    const karl = `Karl Groß ${context.id}`;
    const alexis = `Αλέξης ${context.id}`;
    const turkish = `Işık ${context.id}`;
    for (const name of [tess, karl, alexis, turkish]) await api.admins.confirmedAdmin({ name });
    const twins = [
      `${tess}\u034f`,
      `${tess}\u3164`,
      tess.replace(' ', '\u115f '),
      tess.replace(' ', '\u2800'),
      `${tess}\u{e0100}`,
      `  ${tess.toUpperCase().replaceAll(' ', '  ')}`,
      tess.replace('Tess', 'Ｔｅｓｓ'),
      karl.toUpperCase(),
      karl.replace('ß', 'ẞ'),
      karl.replace('ß', 'ss'),
      alexis.toUpperCase(),
      alexis.replace('ς', 'σ'),
      turkish.replace('Işık', 'IŞIK'),
      turkish.replace('Işık', 'ışık'),
    ];
    const other = await api.admins.confirmedAdmin();
    for (const name of twins) {
      const shown = JSON.stringify(name);
      const { body } = await api.client.post<Problem>(
        '/auth/register',
        api.admins.applicant({ name }),
      );
      t.is(body.code, 'name_taken', shown);
      t.is((await other.client.put<Problem>('/auth/me', { name })).body.code, 'name_taken', shown);
    }
    // An accent is seen.
    const accented = api.admins.applicant({ name: tess.replace('Base', 'Basé') });
    t.is((await api.client.post('/auth/register', accented)).status, 202);
  },
);

test.serial(
  'S13 an admin’s name mixes no scripts that look alike within a word; users’ names are records (field: element-web #5826)',
  async (t) => {
    const name = 'Тess Base';
    const { status, body } = await api.client.post<Problem>(
      '/auth/register',
      api.admins.applicant({ name }),
    );
    t.deepEqual(
      [status, body.errors],
      [422, [{ pointer: '#/name', detail: 'must not mix scripts that look alike within a word' }]],
    );
    const admin = await api.admins.confirmedAdmin({ name: `Ольга Smith ${context.id}` });
    const email = context.uniqueAddress('user');
    t.is((await admin.client.post('/users', { email, name })).status, 201);
  },
);

test.serial('S18 the bounds of a name are those of its composed form', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const longest = 'ễ'.repeat(100);
  const { status, body } = await admin.client.post<{ name: string }>('/users', {
    email: context.uniqueAddress('user'),
    name: ` ${longest.normalize('NFD')} `,
  });
  t.deepEqual([status, body.name], [201, longest]);
  for (const name of [`${longest}e`, '\u{1f511}'.repeat(101), 'x'.repeat(5_000)]) {
    const refused = await admin.client.post<Problem>('/users', {
      email: context.uniqueAddress('user'),
      name,
    });
    t.deepEqual(
      [refused.status, refused.body.errors],
      [422, [{ pointer: '#/name', detail: 'must be at most 100 characters' }]],
    );
  }
});
