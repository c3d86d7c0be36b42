import type { Request, Response } from 'express';
import { markup, type HtmlValue } from '../../http/page.js';
import { sessionOf } from '../session.js';
import { sendConsolePage, type SectionName } from './console-page.js';
import { formToken, hidden } from './parts.js';

/** What is asked before anything is changed. */
export interface Question {
  readonly title: string;
  readonly section?: SectionName;
  /** What will happen, and to what. */
  readonly text: HtmlValue;
  /** Where the answer is sent. */
  readonly action: string;
  readonly button: string;
  /** It cannot be undone. */
  readonly isFinal?: boolean;
  /** Fields beside the reason. */
  readonly fields?: HtmlValue;
  readonly carried?: Readonly<Record<string, string | undefined>>;
  /** The page that asked. */
  readonly back: string;
}

/** Asks once, with the reason that the audit keeps. */
export function sendQuestion(req: Request, res: Response, question: Question): void {
  const {
    title,
    section,
    text,
    action,
    button,
    isFinal = false,
    fields,
    carried = {},
    back,
  } = question;
  sendConsolePage(req, res, {
    title,
    ...(section && { section }),
    body: markup`<section class="panel ask">
${text}
<form method="post" action="${action}">${formToken(sessionOf(req))}${hidden(carried)}
${fields}
<div class="field"><label for="reason">Reason</label>
<input type="text" id="reason" name="reason" required maxlength="500" autocomplete="off" aria-describedby="reason-hint">
<p class="hint" id="reason-hint">Kept in the audit with your name. Leave out e-mail addresses.</p></div>
<div class="actions"><button type="submit" class="${isFinal && 'danger'}">${button}</button>
<a class="button quiet" href="${back}">Cancel</a></div>
</form>
</section>`,
  });
}
