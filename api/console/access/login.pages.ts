import type { Response } from 'express';
import type { AppError } from '../../../shared/errors/app-error.js';
import { markup, type Html } from '../../http/page.js';
import { retryTimeOf } from '../../http/problem.js';
import { clip } from '../layout/format.js';
import { sendPlainPage } from '../layout/plain-page.js';

/** What has been entered, and where to go on. */
export interface LoginForm {
  readonly email?: string | undefined;
  readonly next?: string | undefined;
}

/** Sends the login; after a refusal with the reason. */
export function sendLoginPage(
  res: Response,
  status: number,
  { email = '', next }: LoginForm,
  refusal?: AppError,
): void {
  sendPlainPage(res, status, {
    title: 'Log in',
    body: markup`${refusal && markup`<p class="refusal" role="alert">${wordsFor(refusal)}</p>`}
<form method="post" action="/ops/login">
${next !== undefined && markup`<input type="hidden" name="next" value="${next}">`}
<label for="email">E-mail address</label>
<input type="email" id="email" name="email" value="${clip(email, 254)}" required autocomplete="username" inputmode="email" autocapitalize="none" spellcheck="false"${email === '' && autofocus}>
<label for="password">Password</label>
<input type="password" id="password" name="password" required autocomplete="current-password"${email !== '' && autofocus}>
<button type="submit">Log in</button>
</form>
<p class="soft">For operators. Everything done here is recorded.</p>`,
  });
}

const autofocus: Html = markup` autofocus`;

function wordsFor(error: AppError): string {
  switch (error.code) {
    case 'invalid_credentials':
      return 'E-mail or password is wrong.';
    case 'not_operator':
      return 'The password is right, but this account is not an operator.';
    case 'email_not_confirmed':
      return 'The address is not confirmed yet: follow the mailed link first.';
    case 'too_many_attempts':
      return `Too many attempts. Try again in ${retryTimeOf(error)}.`;
    case 'unavailable':
      return 'PostgreSQL does not answer, so nobody can log in. Try again in a moment.';
    case 'cross_site':
      return 'The form did not come from this page. Try again.';
    default:
      return asSentence(error.detail ?? error.title);
  }
}

const asSentence = (text: string): string => (text.endsWith('.') ? text : `${text}.`);
