import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { style as viewerStyle } from '../../dev/emulators/firehose/viewer/style.js';
import { projectRoot } from '../../dev/paths.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

/** WCAG 2.2, 1.4.3, for text of any size. */
const MIN_CONTRAST = 4.5;

const tokens = readFileSync(join(projectRoot, 'api/console/assets/tokens.css'), 'utf8');

const sheets = [
  {
    name: 'console',
    css: tokens,
    texts: ['ink', 'soft', 'accent', 'good', 'warn', 'bad'],
    backgrounds: ['paper', 'back', 'sunk', 'warn-back'],
  },
  {
    name: 'log viewer',
    css: viewerStyle,
    texts: ['ink', 'soft', 'faint', 'accent', 'debug', 'info', 'warn', 'error', 'good'],
    backgrounds: ['page', 'raised', 'hover', 'warn-soft', 'error-soft'],
  },
] as const;

for (const { name, css, texts, backgrounds } of sheets)
  test(`every text of the ${name} can be read on every background, light and dark`, (t) => {
    const [light = '', dark = ''] = [...css.matchAll(/:root \{([^}]*)\}/g)].map(
      ([, rules]) => rules,
    );
    for (const [look, rules] of Object.entries({ light, dark })) {
      const colours = new Map(
        [...rules.matchAll(/--([\w-]+): #([\da-f]{6});/g)].map(([, key = '', hex = '']) => [
          key,
          luminance(hex),
        ]),
      );
      for (const text of texts)
        for (const background of backgrounds) {
          const ratio = contrast(colours.get(text), colours.get(background));
          t.true(ratio >= MIN_CONTRAST, `${look}: ${text} on ${background} is ${ratio}`);
        }
    }
  });

/** WCAG's contrast ratio of two relative luminances. */
function contrast(one = NaN, other = NaN): number {
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
}

function luminance(hex: string): number {
  const [red = NaN, green = NaN, blue = NaN] = [0, 2, 4].map((at) => {
    const share = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return share <= 0.040_45 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
