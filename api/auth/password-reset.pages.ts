import { markup, type Page } from '../http/page.js';

/** Where a mailed link leads: one field, one button. @param why the password before this one was refused. */
export const newPasswordPage = (token: string, minLength: number, why?: string): Page => ({
  title: 'Choose a new password',
  body: markup`<p>${why === undefined ? 'You will be logged out everywhere.' : `That password ${why}.`}</p>
<form method="post" action="/auth/password/reset">
<input type="hidden" name="token" value="${token}" />
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
<p class="soft">You did not ask for this? Then close this page: nothing happens.</p>`,
});

/** After the button. */
export const passwordSetPage = (): Page => ({
  title: 'Your password is set',
  body: markup`<p>You can log in with it now. Every session that was open has ended.</p>
<a class="button" href="/apidocs">Open the API's documentation</a>`,
});
