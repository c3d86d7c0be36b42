import { emailForm, markup, type Html, type Page } from '../http/page.js';

/** A field of a query or a form; empty if there is none. */
export function textIn(source: unknown, field: 'token' | 'name'): string {
  const value: unknown =
    typeof source === 'object' && source !== null ? Reflect.get(source, field) : undefined;
  return typeof value === 'string' ? value : '';
}

/** A field's fault in a sentence for people: a validator's own words, which begin with a capital, are for programs. */
export const faultInWords = (detail: string): string =>
  /^[a-z]/.test(detail) ? detail : 'is missing or not valid';

/** A form for another link. */
export const resendForm = (): Html =>
  emailForm({ action: '/auth/confirm/resend', button: 'Send me a new link' });

/** A form for a link that sets a new password. */
export const forgotForm = (): Html =>
  emailForm({ action: '/auth/password/forgot', button: 'Let me choose a new password' });

/** After asking for a mail, the same for every address. */
export const mailSentPage = (): Page => ({
  title: 'Look into your mailbox',
  body: markup`<p>If there is something to send to this address, it is on its way. It may take a minute.</p>
<a class="button" href="/apidocs">Open the API's documentation</a>`,
});
