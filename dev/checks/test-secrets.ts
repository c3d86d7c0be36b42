/** The secret that the processes of the tests share with the tests. */
export const SECRET_KEY = 'uT3y0pJ6mYw2-the-tests-own-key-Zk8rQ1vB';

/** The pepper that the processes of the tests share with the tests. */
export const PASSWORD_PEPPER = 'Xb5nG9dL4hSe-the-tests-own-pepper-Wc7tKa2';

/** What must be nowhere in databases and logs, whatever tests were about. */
const secrets: Readonly<Record<string, RegExp>> = {
  'a mailed token': /\bct_[0-9a-f]{32}_[A-Za-z0-9_-]{43}/,
  'a refresh token': /\brt_\d+_\d+_[A-Za-z0-9_-]{43}/,
  'an access token': /(?<![\w-])eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}/,
  'the signing secret': new RegExp(SECRET_KEY),
  'the pepper': new RegExp(PASSWORD_PEPPER),
};

/** The names of the secrets in a text. */
export const secretsIn = (text: string): string[] =>
  Object.entries(secrets)
    .filter(([, pattern]) => pattern.test(text))
    .map(([name]) => name);
