/** True for a text that PostgreSQL takes: well-formed Unicode without NUL. Any other ends in an error, as JSON or as text. */
export const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\0');
