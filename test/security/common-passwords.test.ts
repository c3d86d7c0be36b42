import test from 'ava';
import { refuseCommonPassword } from '../../api/passwords/password-policy.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { readDocument } from '../helpers/openapi.js';
import type { Problem } from '../helpers/problem.js';

const context = useSharedContext('api');
const api = useApi(context);

test.serial('S19 what everybody would try first is refused', async (t) => {
  const { email, name } = api.admins.applicant({
    email: 'gwendolyn.example@gwendolyn.test',
    name: 'Gwendolyn Winterbourne',
  });
  for (const password of [
    'password1234567',
    'qwertyuiopasdfghjkl',
    'Password-Password-1',
    email,
    `${name}12`,
    'GwendolynWinterbourne2026',
    'rollcall1234567',
    'Rollcall Rollcall!',
    'aaaaaaaaaaaaaaa',
    '111111111111111',
    '!!!!!!!!!!!!!!!',
    'ааааааааааааааа1234',
    'abcabcabcabcabc',
    'New! New! New! New!',
    'summer Summer SUMMER summer',
    'abcdefghijklmnopq',
    'ABC DEF GHI 123 456',
    '123456789012345',
    '987654321098765',
    'zxcvbnm,qwertyuiop',
    '1qaz2wsx3edc4rfv5tgb',
    'P@ssw0rd1234567',
    'p4$$w0rd!!!!!!!!!!!!',
    '2026-Adm1n1strat0r!',
    'Gw3nd0lyn.W1nterb0urn3!!',
    // Field: the most used passwords of 2025, Django's list, and their siblings.
    'theworldinyourhand',
    'The World In Your Hand 2026',
    'TheW0rldInY0urHand!',
    'correct horse battery staple',
    'Correct-Horse-Battery-Staple1!',
    'iloveyouforever',
    'ILoveYouForever123',
    'thisismypassword',
    'maytheforcebewithyou',
    'tobeornottobethatisthequestion',
    'manchesterunited',
    'familiyafamiliya',
    'kartoffelpuffer',
    'mahalnamahalkita',
    'ichliebedichsosehr',
    '1q2w3e4r5t6y7u8i9o',
    'a1b2c3d4e5f6g7h8',
    'p1o2i3u4y5t6r7e8',
    '1a!2b@3c#4d$5e%6f^7g&8h*',
    'aabbccddeeffgghh',
    '112233445566778899',
    'qawsedrftgyhujik',
    '147258369147258369',
    '1234567891011121314',
    '20212022202320242025',
    'йцукенгшщзхъфыва',
    'Summer2025Summer2025',
    'Summer2024!Winter2025!',
    'Welcome1Welcome2Welcome3',
    'P@ssw0rd2024P@ssw0rd2025',
    'p1a2s3s4w5o6r7d8',
    'drowssapdrowssap',
    'passwordqwertyadmin',
    'Gwendolyn1Gwendolyn2',
    'Aa123456789012345',
    'Aa@123456789012',
    'Zz9876543210987',
    '12345678901234x',
    'пароль1234567890',
    '密码123456789012345',
    'pässwörd12345678',
    '!@#$%^&*()!@#$%^&*()',
    '!@#$%^&*()_+{}|',
    'P4$$w0rd!P4$$w0rd!',
    'Pa$$w0rd!Pa$$w0rd!',
    '0000000000000001',
    'b7777777777777777',
    'Tr0ub4dor&3Tr0ub4dor&3',
    'onetwothreefourfive',
    'Monday Tuesday Wednesday',
    'january-february',
    'unitedstatesofamerica',
    '2024-01-012024-01-01',
    '01.02.1990 01.02.1990',
    '1/2/1990-1/2/1990-1/2/1990',
    '01-01-90 01-01-90!',
    '31415926535897932',
    '3.14159265358979',
    '2.718281828459045',
    '271828182845904524',
    'ann3.14159265358979',
    'mypasswordis12345',
    'ihavenopassword!',
    'donttouchthis123',
    'liverpoolfootballclub',
    'lorem ipsum dolor sit',
    'Everything is awesome!',
    'root toor root toor',
    'pneumonoultramicroscopic',
  ]) {
    const answer = await api.client.post<Problem>('/auth/register', { email, name, password });
    t.deepEqual([answer.status, answer.body.code], [422, 'password_too_common'], password);
    t.deepEqual(
      answer.body.errors?.map(({ pointer }) => pointer),
      ['#/password'],
    );
  }
  t.deepEqual(await registrationsAt(email), []);

  // Nor does it come in by the back door.
  const admin = await api.admins.confirmedAdmin();
  for (const password of ['qwertyuiopasdfghjkl', admin.email]) {
    const { body } = await admin.client.put<Problem>('/auth/me', {
      password,
      current_password: admin.password,
    });
    t.is(body.code, 'password_too_common', password);
  }
  // An address that is to become one's own is no password either.
  const next = api.admins.applicant().email;
  const both = { email: next, password: next, current_password: admin.password };
  t.is((await admin.client.put<Problem>('/auth/me', both)).body.code, 'password_too_common');
});

test('S19 what is long and nobody else’s is taken', (t) => {
  const owner = { email: 'ann.example@example.com', name: 'Ann Example' };
  for (const password of [
    'kettle-orchid-93-fern',
    'kettle-7294-orchid',
    'abacus dwelling marzipan thirsty wombat',
    'abacusdwellingmarzipanthirstywombat',
    'my aunt keeps three bees in the attic',
    'Der Regen fällt heute auf das Dach',
    'la casa de mi abuela es azul',
    'на крыше спит рыжий кот',
    'わたしのいえのねこはやねのうえ',
    '我家的猫喜欢在屋顶上睡觉晒太阳',
    'البيت الكبير فوق التل القديم',
    'vR7#qLm2!xTz9@kWd',
    '83920174655019283746',
    '839-201-746 839-201-746',
    'kettle12345orchid',
    'one kettle for three Mondays',
    'Straßenbahn12345',
    'f3a91c07e5d84b26aa10',
    'were were they sweeter then',
    'correct kettle orchid staple',
    'the world in your orchid kettle',
  ])
    t.notThrows(() => refuseCommonPassword(password, owner), password);
});

test.serial(
  'S19 what the documentation gives as an example is valid, but for the password, which nobody shall have',
  async (t) => {
    const schema = readDocument().components['schemas']?.['RegisterRequest'] as {
      properties: Record<string, { examples: string[] }>;
    };
    const example = Object.fromEntries(
      Object.entries(schema.properties).map(([field, { examples }]) => [field, examples[0]]),
    );
    t.deepEqual(Object.keys(example).toSorted(), ['email', 'name', 'password']);
    const { status, body } = await api.client.post<Problem>('/auth/register', example);
    t.deepEqual([status, body.code], [422, 'password_too_common']);
    t.regex(readDocument().info.description, /password of your own \(the example's is refused\)/);
    const own = { ...example, password: 'kettle-orchid-93-fern' };
    t.is((await api.client.post('/auth/register', own)).status, 202);
  },
);

const registrationsAt = (email: string): Promise<object[]> =>
  context.rows('select from registrations where email_canonical = $1', [email]);
