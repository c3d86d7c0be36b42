/** The form in which two admins' names are compared: any case, any way of writing the same characters. */
export const canonicalName = (name: string): string =>
  name.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim();
