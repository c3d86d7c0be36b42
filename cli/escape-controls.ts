/** Control and format characters, line and paragraph separators, and halves of surrogate pairs. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/**
 * A line for a terminal, or of JSON: what would move the cursor, change the window's title, turn the writing around or
 * begin another line is written as `\uXXXX`. That is an escape of JSON too, whose strings alone can hold such characters.
 */
export const escapeControls = (line: string): string =>
  line.replace(UNSEEN, (character) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
