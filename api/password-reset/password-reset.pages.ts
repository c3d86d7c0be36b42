import { markup, type Page } from '../http/page.js';
import { forgotForm } from '../mailed-links/mailed-links.pages.js';

export interface NewPasswordForm {
  readonly token: string;
  readonly minLength: number;
  /** Why the last attempt was rejected. */
  readonly refusal?: string;
  /** The name for the new account; absent for an existing account. */
  readonly name?: string | undefined;
}

/** The page of a mailed link. */
export const newPasswordPage = ({ token, minLength, refusal, name }: NewPasswordForm): Page => ({
  title: 'Choose a new password',
  body: markup`${refusal === undefined ? '' : markup`<p class="refusal" role="alert">${refusal}</p>`}
<p>${name === undefined ? 'You will be logged out everywhere.' : 'This confirms your address as well.'}</p>
<form method="post" action="/auth/password/reset">
<input type="hidden" name="token" value="${token}" />
${
  name === undefined
    ? ''
    : markup`<label for="name">The name of your account</label>
<input type="text" id="name" name="name" value="${name}" required autocomplete="name" />`
}
<label for="password">New password, at least ${String(minLength)} characters</label>
<input
        type="password"
        id="password"
        name="password"
        required
        minlength="${String(minLength)}"
        autocomplete="new-password"
      />
<button type="submit">Set this password</button>
</form>
<p class="soft">If you did not request this, close this page; nothing will change.</p>`,
});

/** After the password is set. */
export const passwordSetPage = (): Page => ({
  title: 'Your password is set',
  body: markup`<p>You can log in with it now. Every session that was open has ended.</p>
<a class="button" href="/apidocs">Open the API's documentation</a>`,
});

/** One page for all invalid links, so that it does not reveal which ones exist. */
export const invalidResetLinkPage = (): Page => ({
  title: 'This link does not work',
  body: markup`<p>It is incomplete, expired or already used, or a newer one has replaced it. Open the newest mail, or ask for another link:</p>
${forgotForm()}`,
});
