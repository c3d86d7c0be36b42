import type { ErrorRequestHandler, Request, RequestHandler, Response, Router } from 'express';
import { AppError, type FieldFault } from '../../../shared/errors/app-error.js';
import { markup, type Html, type HtmlValue } from '../../http/page.js';
import { requireWriter } from '../access/operator.js';
import { sessionOf } from '../session.js';
import { sendConsolePage, type SectionName } from './console-page.js';
import { clip } from './format.js';
import { formToken, hidden } from './parts.js';
import { wantsJson } from './wants-json.js';

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
  readonly fields?: readonly QuestionField[];
  readonly carried?: Readonly<Record<string, string | undefined>>;
  /** The page that asked. */
  readonly back: string;
}

export interface QuestionField {
  readonly name: string;
  readonly label: string;
  /** The attributes of its input. */
  readonly input: Html;
  readonly value?: string;
  readonly hint?: string;
}

const reasonField: QuestionField = {
  name: 'reason',
  label: 'Reason',
  input: markup`type="text" required maxlength="500" autocomplete="off"`,
  hint: 'Kept in the audit with your name. Leave out e-mail addresses.',
};

/** Sends a question. @param fields of the query; of the form when its answer was refused. */
export type Ask = (req: Request, res: Response, fields: unknown) => void | Promise<void>;

const refusals = new WeakMap<Request, AppError>();

/** Asks at a path and takes the answer there; asks again, with what was entered, when a field of the answer is at fault. */
export function questionRoutes(
  router: Router,
  path: string,
  ask: Ask,
  carryOut: RequestHandler,
): void {
  const askAgain: ErrorRequestHandler = (thrown: unknown, req, res, next) => {
    const isRefused = thrown instanceof AppError && thrown.code === 'validation_failed';
    if (!isRefused || wantsJson(req)) {
      next(thrown);
      return undefined;
    }
    refusals.set(req, thrown);
    return ask(req, res, req.body);
  };
  router.get(path, requireWriter, (req, res) => ask(req, res, req.query));
  router.post(path, carryOut, askAgain);
}

/** Asks with the reason that the audit keeps. @throws {AppError} what was refused of its answer and is none of its fields. */
export function sendQuestion(req: Request, res: Response, question: Question): void {
  const { title, section, text, action, button, isFinal = false, carried = {}, back } = question;
  const fields = [...(question.fields ?? []), reasonField];
  const refusal = refusals.get(req);
  const isOfField = ({ pointer }: FieldFault): boolean =>
    fields.some(({ name }) => pointer === `#/${name}`);
  if (refusal && !refusal.fields?.every(isOfField)) throw refusal;
  const page = {
    title,
    ...(section && { section }),
    body: markup`<section class="panel ask">
${text}
<form method="post" action="${action}">${formToken(sessionOf(req))}${hidden(carried)}
${fields.map((field) => renderField(field, req, refusal))}
<div class="actions"><button type="submit" class="${isFinal && 'danger'}">${button}</button>
<a class="button quiet" href="${back}">Cancel</a></div>
</form>
</section>`,
  };
  sendConsolePage(req, res, page, refusal?.status);
}

function renderField(field: QuestionField, req: Request, refusal: AppError | undefined): Html {
  const { name, label, input, hint } = field;
  const entered = refusal && (req.body as Partial<Record<string, unknown>>)[name];
  const value = typeof entered === 'string' ? clip(entered, 500) : field.value;
  const fault = refusal?.fields?.find(({ pointer }) => pointer === `#/${name}`);
  const isFirst = fault !== undefined && fault === refusal?.fields?.[0];
  const about = [fault && `${name}-fault`, hint !== undefined && `${name}-hint`].filter(Boolean);
  return markup`<div class="field"><label for="${name}">${label}</label>
<input ${input} id="${name}" name="${name}" value="${value}"${about.length > 0 && markup` aria-describedby="${about.join(' ')}"`}${fault && markup` aria-invalid="true"`}${isFirst && markup` autofocus`}>
${fault && markup`<p class="fault" id="${name}-fault">This ${fault.detail}.</p>`}
${hint !== undefined && markup`<p class="hint" id="${name}-hint">${hint}</p>`}</div>`;
}
