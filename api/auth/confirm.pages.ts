import { markup, type Page } from '../http/page.js';

/** The token in a query or a form; empty if there is none. */
export function tokenIn(source: unknown): string {
  if (typeof source !== 'object' || source === null || !('token' in source)) return '';
  return typeof source.token === 'string' ? source.token : '';
}

/** Where a mailed link leads: one button. */
export const askPage = (token: string): Page => ({
  title: 'Confirm your address',
  body: markup`<p>Press the button, and we know that this address is yours.</p>
<form method="post" action="/auth/confirm">
<input type="hidden" name="token" value="${token}" />
<button type="submit">Confirm my address</button>
</form>
<p class="soft">You did not ask for this? Then close this page: nothing happens.</p>`,
});

/** After the button; again, if it is pressed again. */
export const confirmedPage = (): Page => ({
  title: 'Your address is confirmed',
  body: markup`<p>You can log in now.</p>
<a class="button" href="/apidocs">Open the API's documentation</a>`,
});

/** One page for every link that does not work, so that it tells nothing about the others. */
export const invalidLinkPage = (): Page => ({
  title: 'This link does not work',
  body: markup`<p>It is incomplete, expired, or a newer one has been sent in its place.</p>
<p>Open the newest mail, or ask for another link at <code>POST /auth/confirm/resend</code>.</p>`,
});

/** Somebody else was first with the name, or another one that was typed here does not do. */
export const nameTakenPage = (token: string, why: string): Page => ({
  title: 'Choose another name',
  body: markup`<p>${why} Everything else stays as you registered it.</p>
<form method="post" action="/auth/confirm">
<input type="hidden" name="token" value="${token}" />
<label for="name">Name</label>
<input type="text" id="name" name="name" required maxlength="100" autocomplete="name" />
<button type="submit">Confirm with this name</button>
</form>`,
});
