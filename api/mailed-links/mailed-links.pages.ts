import type { Request, Response } from 'express';
import { AppError } from '../../shared/errors/app-error.js';
import { isForm } from '../http/input/body.js';
import { emailForm, markup, sendPage, type Html, type Page } from '../http/page.js';

/** A field of a query or a form; empty if it is missing. */
export function textIn(source: unknown, field: 'token' | 'name'): string {
  const value: unknown =
    typeof source === 'object' && source !== null ? Reflect.get(source, field) : undefined;
  return typeof value === 'string' ? value : '';
}

/** A form that was rejected: the error, and the values that its page shows again. */
export interface RejectedForm {
  readonly error: AppError;
  readonly token: string;
  /** Empty if the form has no such field. */
  readonly name: string;
  /** What is wrong with a field, to complete a sentence; `undefined` if the error is not about it. */
  faultOf(field: 'name' | 'password'): string | undefined;
}

/** The pages for rejected forms. */
export interface RejectionPages {
  invalidLink(): Page;
  /** Any other page; `undefined` for an error that is not about the form's content. */
  rejected(form: RejectedForm): Page | undefined;
}

/** Runs the handler of a mailed link's form. An error about the content of an HTML form is answered by a page, not thrown. */
export async function answerForm(
  { req, res }: { readonly req: Request; readonly res: Response },
  pages: RejectionPages,
  handle: () => Promise<void>,
): Promise<void> {
  try {
    await handle();
  } catch (error) {
    if (!isForm(req) || !(error instanceof AppError)) throw error;
    const faultOf = (field: string): string | undefined =>
      error.fields?.find(({ pointer }) => pointer === `#/${field}`)?.detail;
    const isInvalidLink = error.code === 'invalid_token' || faultOf('token') !== undefined;
    const page = isInvalidLink
      ? pages.invalidLink()
      : pages.rejected({
          error,
          token: textIn(req.body, 'token'),
          name: textIn(req.body, 'name'),
          faultOf: (field) => faultInWords(faultOf(field)),
        });
    if (!page) throw error;
    sendPage(res, isInvalidLink ? 400 : error.status, page);
  }
}

/** A field's fault, to complete a sentence for people. zod's own messages, which begin with a capital, are for programs. */
const faultInWords = (detail: string | undefined): string | undefined =>
  detail === undefined || /^[a-z]/.test(detail) ? detail : 'is missing or not valid';

/** A form that requests another confirmation link. */
export const resendForm = (): Html =>
  emailForm({ action: '/auth/confirm/resend', button: 'Send me a new link' });

/** A form that requests a link to set a new password. */
export const forgotForm = (): Html =>
  emailForm({ action: '/auth/password/forgot', button: 'Let me choose a new password' });

/** The response to a request for a mail, the same for every address. */
export const mailSentPage = (): Page => ({
  title: 'Check your inbox',
  body: markup`<p>If there is a mail to send to this address, it is on its way. It may take a minute.</p>
<a class="button" href="/apidocs">Open the API's documentation</a>`,
});
