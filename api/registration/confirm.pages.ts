import { markup, type Page } from '../http/page.js';
import { forgotForm, resendForm } from '../mailed-links/mailed-links.pages.js';

const passwordField = markup`<label for="password">Your password</label>
<input type="password" id="password" name="password" required autocomplete="current-password" />`;

/** The page of a mailed link. @param refusal why the last attempt was rejected. */
export const confirmPage = (token: string, refusal?: string): Page => ({
  title: 'Confirm your address',
  body: markup`${refusal === undefined ? '' : markup`<p class="refusal" role="alert">${refusal}</p>`}
<p>Enter the password that you chose when you registered. If you are changing your address, enter the password of your account.</p>
<form method="post" action="/auth/confirm">
<input type="hidden" name="token" value="${token}" />
${passwordField}
<button type="submit">Confirm my address</button>
</form>
<p class="soft">If you did not request this, close this page; nothing will change.</p>`,
});

/** Why the last attempt was rejected. */
export const WRONG_PASSWORD = 'This is not the password that you chose.';

/** After a wrong password: with a form to reset it. */
export const wrongPasswordPage = (token: string): Page => {
  const { title, body } = confirmPage(token, WRONG_PASSWORD);
  return {
    title,
    body: markup`${body}
<h2>Forgot your password?</h2>
<p>Enter the address that you registered or, if you are changing your address, your current address. We will mail you a link to set a new password.</p>
${forgotForm()}`,
  };
};

/** After confirming; also when it is repeated. */
export const confirmedPage = (): Page => ({
  title: 'Your address is confirmed',
  body: markup`<p>You can log in now.</p>
<a class="button" href="/apidocs">Open the API's documentation</a>`,
});

/** One page for all invalid links, so that it does not reveal which ones exist. */
export const invalidLinkPage = (): Page => ({
  title: 'This link does not work',
  body: markup`<p>It is incomplete or expired, or a newer one has replaced it. Open the newest mail, or ask for another link:</p>
${resendForm()}
<p class="soft">If you wanted to change the address of your account, log in and request the change again.</p>`,
});

/** The registered name has been taken, or the one entered here was rejected. @param name as it was entered. */
export const otherNamePage = (token: string, refusal: string, name: string): Page => ({
  title: 'Choose another name',
  body: markup`<p class="refusal" role="alert">${refusal}</p>
<p>Everything else stays as you entered it when you registered.</p>
<form method="post" action="/auth/confirm">
<input type="hidden" name="token" value="${token}" />
<label for="name">Name</label>
<input type="text" id="name" name="name" value="${name}" required autocomplete="name" />
${passwordField}
<button type="submit">Confirm with this name</button>
</form>`,
});
