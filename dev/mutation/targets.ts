/**
 * What is mutated, by the name under which its score is told. Paths of this project are named here and nowhere else in
 * dev/mutation/.
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
 * The test files below test/ that may notice a mutant, by the beginning of their names: those about what the targets do,
 * and quick enough to run for every change. Which of them runs which line is measured, not written down.
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
  'security/encodings',
  'security/guesses',
  'security/header-lists',
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
  'shared/http/',
  'shared/identity/',
  'workers/http',
  'workers/ses-events',
];
