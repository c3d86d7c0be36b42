import type { AppError } from '../../shared/errors/app-error.js';
import type { ErrorCode } from '../../shared/errors/codes.js';
import { markup, type Html, type Page } from './page.js';

const LATER = 'Nothing has been changed. Please go back and try again in a moment.';
const CHECK = 'Nothing has been changed. Please go back, check what you entered, and try again.';

/** What a person is told who has sent a form; every other error is told in the words of `LATER`. */
const words: Partial<Record<ErrorCode, { readonly title: string; readonly text: string }>> = {
  malformed_request: { title: 'We could not read what was sent', text: CHECK },
  validation_failed: { title: 'Something is missing or not valid', text: CHECK },
  payload_too_large: { title: 'That was too much', text: CHECK },
  unsupported_media_type: { title: 'We could not read what was sent', text: CHECK },
};

/** An error as a page for the person who has sent a form. */
export function problemPage(error: AppError, wayOn: Html, requestId: string): Page {
  const { title, text } = words[error.code] ?? titleOf(error);
  return {
    title,
    body: markup`<p>${text}</p>
<h2>Or start again</h2>
${wayOn}
<p class="soft">If it goes on, tell the operators this number: ${requestId}</p>`,
  };
}

function titleOf({ code, headers }: AppError): { title: string; text: string } {
  if (code !== 'too_many_attempts') return { title: 'That did not work', text: LATER };
  const minutes = Math.max(1, Math.ceil(Number(headers['Retry-After'] ?? 60) / 60));
  const time = minutes === 1 ? 'a minute' : `${minutes} minutes`;
  return {
    title: 'Too many attempts',
    text: `Nothing has been changed. Please try again in ${time}.`,
  };
}
