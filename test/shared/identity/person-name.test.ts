import test from 'ava';
import {
  canonicalName,
  mixesScripts,
  readPersonName,
} from '../../../shared/identity/person-name.js';
import { shareProcess } from '../../helpers/context.js';

shareProcess();

/** Names that are stored as entered, by the feature that a careless rule would refuse or lose. */
const kept: Readonly<Record<string, string>> = {
  'a non-joiner in Persian': 'علی\u200cرضا محمدی',
  'a non-joiner in Phags-pa': '\ua840\u200c\ua841',
  'a non-joiner in Manichaean': '\u{10ac0}\u200c\u{10ac1}',
  'a non-joiner in Psalter Pahlavi': '\u{10b80}\u200c\u{10b81}',
  'a non-joiner in Sogdian': '\u{10f30}\u200c\u{10f31}',
  'a joiner in Sinhala': 'ශ\u0dca\u200dරියානි පෙරේරා',
  'a joiner in Malayalam': 'ആയിശ ഖാന\u0d4d\u200d',
  'a non-joiner after a virama in Hindi': 'शक\u094d\u200cति',
  'a joiner before a virama in Kannada': 'ಸೂರ\u200d\u0ccdಯ',
  'a joiner before a virama in Bengali': 'র\u200d\u09cdযাচেল',
  'an emoji of several, joined': 'Ann \u{1f469}\u200d\u{1f4bb}',
  'a family': '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}\u200d\u{1f466} Miller',
  'an emoji with a skin tone, joined': 'Ann \u{1f469}\u{1f3fd}\u200d\u{1f4bb}',
  'an emoji joined after its presentation': 'Ann \u2764\ufe0f\u200d\u{1f525}',
  'the flag of a part of a country':
    'Ann \u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}',
  'the flag of a part of a country and nothing else':
    '\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}',
  'the flag of a country': 'Ann \u{1f1eb}\u{1f1f7}',
  'a keycap': 'Ann 1\ufe0f\u20e3',
  'a sign as text': 'Ann \u2764\ufe0e',
  'a variant of a Han character': '葛\u{e0100}城',
  'a form of a Mongolian letter': 'ᠪᠠᠶᠠᠷ\u180b',
  'accents of Vietnamese': 'Nguyễn Thị Hằng',
  'an apostrophe, a hyphen and a full stop': 'Seán O’Néill-Smith, Jr.',
  'Han characters': '王小明',
  'Hebrew with points': 'שָׂרָה',
  'a sign alone': '!',
};

for (const [what, name] of Object.entries(kept)) {
  test(`${what} stays in a name (field: iNPUTmice/Conversations #1996, kepano/defuddle #103)`, (t) => {
    t.deepEqual(readPersonName(name), { name: name.normalize('NFC') });
    t.notRegex(canonicalName(name), /\p{Default_Ignorable_Code_Point}/u);
  });
}

/** What shows as nothing, alone. */
const blank = [
  '',
  ' ',
  '\u00a0',
  '\u3000',
  '\u1680',
  '\t\n',
  '\u3164',
  '\uffa0',
  '\u115f\u1160',
  '\u2800',
  '\u2800 \u2800',
  '\u034f',
  '\ufe0f',
  '\u{e0100}',
  '\u180b',
  '\u17b4',
  '\u17b5',
  '\u0301\u0302',
  '\u20e3',
  '\u{1d159}',
  '\u{13441}',
];
for (const text of blank) {
  test(`${written(text)} is blank (field: discourse PR 21331, mucklet-client #402)`, (t) => {
    t.deepEqual(readPersonName(text), { fault: 'must not be blank' });
  });
}

/** Characters that no name may contain, each within a name. */
const refused: Readonly<Record<string, string>> = {
  'a control character': 'Te\u0007ss',
  'a NUL': 'Tess\u0000Base',
  'a tab': 'Tess\tBase',
  'a line break': 'Tess\nBase',
  'a line separator': 'Tess\u2028Base',
  'a paragraph separator': 'Tess\u2029Base',
  'a right-to-left override': 'Tess\u202eBase',
  'a right-to-left isolate': 'Tess\u2067Base',
  'a left-to-right mark': 'Tess\u200e',
  'a zero-width space': 'Te\u200bss',
  'a soft hyphen': 'Te\u00adss',
  'a word joiner': 'Te\u2060ss',
  'an invisible plus': 'Te\u2064ss',
  'a zero-width no-break space': 'Te\ufeffss',
  'a joiner in Latin': 'Te\u200dss',
  'a non-joiner in Latin': 'Te\u200css',
  'a non-joiner at the end of a Persian word': 'علی\u200c',
  'a joiner that joins no emoji': 'Ann \u{1f469}\u200d',
  'a joiner at the start': '\u200dAnn',
  'a tag outside of a flag': 'Ann\u{e0041}',
  'a flag without an end': 'Ann \u{1f3f4}\u{e0067}\u{e0062}',
  'a private-use character': 'Ann \ue000',
  'a private-use character of another plane': 'Ann \u{10fffd}',
  'a non-character': 'Ann \uffff',
  'a non-character of another plane': 'Ann \u{1fffe}',
  'an unassigned character': 'Ann \u0378',
  'half of a surrogate pair': 'Ann \ud800',
  'the replacement character': 'Ren\ufffd',
  'the object replacement character': 'Ann \ufffc',
  'an annotation': 'Ann \ufff9x\ufffb',
};
for (const [what, text] of Object.entries(refused)) {
  test(`${what} is refused in a name (RFC 8264)`, (t) => {
    const reading = readPersonName(text);
    t.regex(
      'fault' in reading ? reading.fault : '',
      /^must hold visible characters and spaces only/,
    );
  });
}

test('encoded words, and a mark that would combine with preceding text, are refused', (t) => {
  t.deepEqual(readPersonName('=?utf-8?q?Tess_Base?='), {
    fault: 'must not hold an encoded word (=?…?=)',
  });
  t.deepEqual(readPersonName('\u0301Ann'), { fault: 'must not begin with a combining mark' });
});

test('blanks are collapsed, characters without effect removed, and the rest composed', (t) => {
  for (const text of [
    '  Tess  Base ',
    'Tess\u00a0Base',
    'Tess\u3000\u2800Base',
    'Tess Base\u034f',
    'Tess Base\u3164',
    'Tess\u115f Base',
    'T\ufe0fess Base',
    'Tess Base\u{e0100}',
    '\ufeffTess Base\n',
  ])
    t.deepEqual(readPersonName(text), { name: 'Tess Base' }, written(text));
  t.deepEqual(readPersonName('Rene\u0301'), { name: 'Ren\u00e9' });
  t.deepEqual(readPersonName('Rene\u034f\u0301'), { name: 'Ren\u00e9' });
});

test('a name has at most 100 code points, of the form in which it is stored', (t) => {
  const fault = 'must be at most 100 characters';
  for (const [text, points] of [
    ['x'.repeat(100), 100],
    ['\u{1f600}'.repeat(100), 100],
    ['ễ'.normalize('NFD').repeat(100), 100],
    [`${' '.repeat(50)}${'x'.repeat(100)}${' '.repeat(50)}`, 100],
    ['x\u034f'.repeat(100), 100],
  ] as const) {
    const reading = readPersonName(text);
    t.is('name' in reading ? [...reading.name].length : 0, points);
  }
  for (const text of ['x'.repeat(101), '\u{1f600}'.repeat(101), 'x'.repeat(1_000_000)])
    t.deepEqual(readPersonName(text), { fault });
});

/** Texts that are one name. */
const same: readonly (readonly string[])[] = [
  ['Karl Groß', 'KARL GROSS', 'karl gross', 'KARL GROẞ', 'Karl Groſs'],
  ['Αλέξης Α', 'ΑΛΈΞΗΣ Α', 'Αλέξησ α', 'αλέξης α'],
  ['Işık', 'IŞIK', 'ışık', 'İŞİK', 'işik'],
  ['René', 'RENE\u0301', 'ＲＥＮÉ'],
  ['ﬁona', 'FIONA', 'Fiona', '𝐅𝐢𝐨𝐧𝐚'],
  ['tess base', 'Tess\u00a0 BASE', 'Tess\u2800Base', 'T\u200dess\u034f Base'],
  ['علی\u200cرضا', 'علیرضا'],
  ['葛\u{e0100}城', '葛城'],
  ['Ann \u{1f469}\u200d\u{1f4bb}', 'ann \u{1f469}\u{1f4bb}'],
  ['Ⴀna', 'ⴀNA'],
  ['Ꭰ', 'ꭰ'],
  ['ᾳ', 'ΑΙ'],
  ['ŉ', 'ʼN'],
  ['ǰ', 'J\u030c'],
  ['Benjamin', 'Benj\u0307amin'],
  ['Tị', 'Ti\u0323\u0307', 'Ti\u0307\u0323'],
  ['Tess', 'Tess\u{16fe4}', 'Tess\u{1bc9d}'],
];
for (const [one = '', ...others] of same) {
  test(`${one} has one canonical form (field: cadasta-platform PR 1153, element-web #5826)`, (t) => {
    for (const other of others) t.is(canonicalName(other), canonicalName(one), other);
  });
}

test('names that a reader can distinguish have different canonical forms', (t) => {
  const names = ['Rene', 'René', 'Karl Gros', 'Karl Gross', 'Αλεξης', 'Αλέξης', 'Tess', 'Tess B'];
  t.is(new Set(names.map(canonicalName)).size, names.length);
});

test('whatever the character, upper and lower case are one, and a form is its own', (t) => {
  const wrong: string[] = [];
  for (let point = 0; point <= 0x1_ff_ff; point += 1) {
    const sign = String.fromCodePoint(point);
    if (/[\p{Cs}\p{Co}\p{Cn}]/u.test(sign)) continue;
    const form = canonicalName(sign);
    const isStable = canonicalName(form) === form;
    const forms = [sign.toUpperCase(), sign.toLowerCase(), sign.normalize('NFD')].map(
      canonicalName,
    );
    if (!isStable || forms.some((other) => other !== form)) wrong.push(written(sign));
    // Unicode's own folding changes it no more; it folds Cherokee the other way.
    if (/(?!\p{Script=Cherokee})\p{Changes_When_NFKC_Casefolded}/u.test(form))
      wrong.push(`${written(sign)} is not folded`);
  }
  t.deepEqual(wrong, []);
});

test('whatever is taken reads the same again, and is not blank when it is compared', (t) => {
  const wrong: string[] = [];
  for (let point = 0; point <= 0x1_ff_ff; point += 1) {
    const reading = readPersonName(`a${String.fromCodePoint(point)}b`);
    if (!('name' in reading)) continue;
    const again = readPersonName(reading.name);
    if (!('name' in again) || again.name !== reading.name) wrong.push(point.toString(16));
    if (/[\p{C}\u2800\ufffd]/u.test(reading.name)) wrong.push(`${point.toString(16)} is kept`);
  }
  t.deepEqual(wrong, []);
});

test('one word does not mix confusable scripts; separate words may', (t) => {
  for (const name of [
    "О'Brien",
    'А’Hara',
    'С.J. Base',
    'Т2om',
    'T𐐬m',
    'ᗅnn',
    'Тess Base',
    'Tess Bаse',
    'Ρaul',
    'Αlex',
    'Рaul Smith',
    'Ꭰnn',
  ])
    t.true(mixesScripts(name), name);
  for (const name of [
    'Tess Base',
    'Ольга Smith',
    'Ольга-Smith',
    'Αλέξης B.',
    'Иван 2',
    'ドラえもん太郎A',
  ])
    t.false(mixesScripts(name), name);
});

/** A text whose characters cannot all be seen, as code points. */
function written(text: string): string {
  const points = [...text].map((sign) => `U+${sign.codePointAt(0)?.toString(16).padStart(4, '0')}`);
  return points.join(' ') || 'nothing';
}
