/**
 * Whether `lower` in SQL changes ASCII letters as JavaScript does. By the rules of Turkish and Azeri `I` becomes `ı`: an address
 * that is looked up in lower case, as among the suppressed ones, would not be found.
 */
export const LOWERS_ASCII = `lower('I') = 'i'`;

/** What is wrong with a database where it does not. */
export const LOCALE_PROBLEM = `has a locale in which lower('I') is not 'i'`;

/** The locale of a database is chosen when it is created. */
export const LOCALE_ADVICE =
  'Create another database, with a locale such as C.UTF-8 or en_US.UTF-8, and restore a dump of this one there. See the runbook: Unsuitable locale.';
