/** Control and format characters, line and paragraph separators, and lone surrogates. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/**
 * A line for a terminal or a page, or of JSON. Characters that would move the cursor, change the window's title, reverse the
 * text or start another line are written as `\uXXXX`, which is also valid in the strings of JSON.
 */
export const escapeControls = (line: string): string =>
  line.replace(INVISIBLE, (character) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
