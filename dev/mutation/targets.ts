/**
 * The mutated folders, by the name in the summary. Paths of this project appear only here in dev/mutation/.
 */
export const targets: Readonly<Record<string, string>> = {
  'api/account': 'api/account',
  'api/admins': 'api/admins',
  'api/mailed-links': 'api/mailed-links',
  'api/password-reset': 'api/password-reset',
  'api/passwords': 'api/passwords',
  'api/registration': 'api/registration',
  'api/sessions': 'api/sessions',
  'api/http': 'api/http',
  'workers/http': 'workers/http',
  'shared/identity': 'shared/identity',
};

/**
 * The test files below test/ that may detect a mutant, by the prefixes of their names: those that concern the targets and
 * are quick enough to run for every mutant. Which of them covers which line is measured.
 */
export const testFiles: readonly string[] = [
  'contract/http',
  'flows/account',
  'flows/listings',
  'flows/one-admin-at-once',
  'flows/register',
  'flows/resend',
  'flows/sessions',
  'flows/users',
  'security/access-tokens',
  'security/account-changes',
  'security/addresses',
  'security/confirmation-links',
  'security/deleted-admin',
  'security/guesses',
  'security/http-bodies',
  'security/http-pages',
  'security/input-forms',
  'security/lost-refresh',
  'security/listing',
  'security/mail-abuse',
  'security/networks',
  'security/ownership',
  'security/passwords',
  'security/privileges',
  'security/sessions',
  'shared/small-parsers',
  'shared/identity/',
  'workers/http',
  'workers/ses-events',
];
