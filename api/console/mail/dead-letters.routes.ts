import { Router } from 'express';
import { markup, type Html } from '../../http/page.js';
import { parse } from '../../http/input/validate.js';
import {
  readBulkAction,
  startBulkAction,
  stopBulkAction,
} from '../../ops/mail/bulk-actions.service.js';
import type { DeadLetterFilter } from '../../ops/mail/dead-letter-filter.service.js';
import {
  countDeadLetters,
  listDeadLetters,
  type DeadLetterAction,
} from '../../ops/mail/dead-letters.service.js';
import { mayAct, operatorCause } from '../access/operator.js';
import type { ConsoleDeps } from '../console-deps.js';
import { Answer } from '../form-fields.js';
import { sendConsolePage } from '../layout/console-page.js';
import { clip, counted, queryFields, withQuery } from '../layout/format.js';
import { nextPage, note, section } from '../layout/parts.js';
import { questionRoutes, sendQuestion, type Ask } from '../layout/question.js';
import { wantsJson } from '../layout/wants-json.js';
import { BulkForm, DeadLettersQuery, MessageId } from './mail.forms.js';
import { renderAction, renderLetters } from './mail.pages.js';

const PAGE_SIZE = 50;
const LIST = '/ops/mail/dead';

/** The mails that wait for a decision: filtered, counted, then redriven or discarded together. */
export function deadLetterRoutes(deps: ConsoleDeps): Router {
  const router = Router();

  router.get('/mail/dead', async (req, res) => {
    const { cursor, ...filter } = parse(DeadLettersQuery, req.query);
    const [total, page] = await Promise.all([
      countDeadLetters(deps, filter),
      listDeadLetters(deps, filter, { limit: PAGE_SIZE, cursor }),
    ]);
    if (wantsJson(req)) {
      res.json({ total, ...page });
      return;
    }
    const fields = queryFields(filter);
    const more = page.next === null ? undefined : withQuery(LIST, { ...fields, cursor: page.next });
    const actions =
      total > 0 &&
      mayAct(req) &&
      markup`<div class="actions first"><a class="button" href="${withQuery(`${LIST}/redrive`, fields)}">Redrive ${counted(total, 'mail')}…</a>
<a class="button quiet" href="${withQuery(`${LIST}/discard`, fields)}">Discard…</a></div>`;
    const isDead = filter.state === 'dead';
    sendConsolePage(req, res, {
      title: isDead ? 'Dead letters' : 'Perhaps sent',
      section: 'mail',
      lead: isDead
        ? 'Delivery of these mails failed permanently. They wait for a decision.'
        : 'The mail server got the content and never replied. If redriven, they may arrive twice.',
      body: markup`${filterForm(filter)}${section('letters', counted(total, 'mail matches', 'mails match'), markup`${actions}${renderLetters(page.rows)}${nextPage(more)}`)}`,
    });
  });

  for (const action of ['redrive', 'discard'] as const) bulkRoutes(router, deps, action);
  actionRoutes(router, deps);
  return router;
}

function filterForm({ state, cause, mail, recipient, since, until }: DeadLetterFilter): Html {
  const text = (name: string, label: string, value = '', hint = ''): Html =>
    markup`<div><label for="${name}">${label}</label><input type="text" id="${name}" name="${name}" value="${clip(value, 254)}" placeholder="${hint}" autocomplete="off" autocapitalize="none" spellcheck="false"></div>`;
  const time = (name: string, label: string, at: Date | undefined): Html =>
    markup`<div><label for="${name}">${label}</label><input type="datetime-local" id="${name}" name="${name}" value="${at?.toISOString().slice(0, 16)}"></div>`;
  const option = (value: string, label: string): Html =>
    markup`<option value="${value}"${state === value && markup` selected`}>${label}</option>`;
  return markup`<form class="panel fields" role="search" aria-label="Filter mails">
<div><label for="state">Kind</label><select id="state" name="state">${option('dead', 'dead letters')}${option('uncertain', 'perhaps sent')}</select></div>
${text('cause', 'Cause', cause, '550 5.1.1')}
${text('recipient', 'Recipient', recipient, '@example.com')}
${text('mail', 'Mail', mail, 'send-…')}
${time('since', 'Requested since (UTC)', since)}
${time('until', 'Before (UTC)', until)}
<p class="hint">Recipient is an address or @domain; mail is a name such as send-confirmation-mail.</p>
<div><button type="submit" class="quiet">Filter</button></div></form>`;
}

function bulkRoutes(router: Router, deps: ConsoleDeps, action: DeadLetterAction): void {
  const isRedrive = action === 'redrive';
  const ask: Ask = async (req, res, sent) => {
    const { cursor: _cursor, ...filter } = parse(DeadLettersQuery, sent);
    const total = await countDeadLetters(deps, filter);
    const isOne = total === 1;
    const fields = queryFields(filter);
    const which = Object.entries(fields).map(([name, value]) => `${name}: ${clip(value, 200)}`);
    const doubt =
      isRedrive &&
      filter.state === 'uncertain' &&
      note(
        'warn',
        markup`<p>${isOne ? 'It may have been sent already: its recipient may get it twice.' : 'They may have been sent already: recipients may get them twice.'}</p>`,
      );
    sendQuestion(req, res, {
      title: `${isRedrive ? 'Redrive' : 'Discard'} ${counted(total, 'mail')}?`,
      section: 'mail',
      text: markup`${doubt}<p>${counted(total, 'mail matches', 'mails match')} now (${which.join(', ')}). ${
        isRedrive
          ? `${isOne ? 'It is retried' : 'They are retried, the oldest first'}. You can stop this.`
          : `${isOne ? 'It is' : 'They are'} settled and never sent. You can stop this, but discarding cannot be undone.`
      }</p>`,
      fields: [
        {
          name: 'rate',
          label: 'Mails a second',
          input: markup`type="number" min="0.01" max="1000" step="any" required`,
          value: isRedrive ? '10' : '1000',
        },
      ],
      action: `${LIST}/${action}`,
      button: `${isRedrive ? 'Redrive' : 'Discard'} ${counted(total, 'mail')}`,
      isFinal: !isRedrive,
      carried: fields,
      back: withQuery(LIST, fields),
    });
  };
  questionRoutes(router, `/mail/dead/${action}`, ask, async (req, res) => {
    const { reason, rate, ...filter } = parse(BulkForm, req.body);
    const cause = operatorCause(req, reason);
    const started = await startBulkAction(deps, { action, filter, rate }, cause);
    deps.bulkActions.runNow();
    if (wantsJson(req)) res.status(202).json(started);
    else res.redirect(303, `/ops/mail/actions/${started.id}`);
  });
}

function actionRoutes(router: Router, deps: ConsoleDeps): void {
  router.get('/mail/actions/:id', async (req, res) => {
    const action = await readBulkAction(deps, parse(MessageId, req.params).id);
    if (wantsJson(req)) {
      res.json(action);
      return;
    }
    const stop =
      action.state === 'running' &&
      mayAct(req) &&
      markup`<p><a class="button quiet" href="/ops/mail/actions/${action.id}/stop">Stop…</a></p>`;
    sendConsolePage(req, res, {
      title: 'Bulk action',
      section: 'mail',
      live: `page=action&id=${action.id}`,
      body: markup`${renderAction(action)}${stop}<p><a href="/ops/mail">Back to mail</a></p>`,
    });
  });
  const ask: Ask = async (req, res) => {
    const action = await readBulkAction(deps, parse(MessageId, req.params).id);
    const path = `/ops/mail/actions/${action.id}`;
    sendQuestion(req, res, {
      title: 'Stop this bulk action?',
      section: 'mail',
      text: markup`<p>${counted(action.done, 'mail is', 'mails are')} done, ${counted(action.total - action.done, 'is left as it is', 'are left as they are')}. What is done stays done.</p>`,
      action: `${path}/stop`,
      button: 'Stop it',
      back: path,
    });
  };
  questionRoutes(router, '/mail/actions/:id/stop', ask, async (req, res) => {
    const { id } = parse(MessageId, req.params);
    const { reason } = parse(Answer, req.body);
    const stopped = await stopBulkAction(deps, id, operatorCause(req, reason));
    if (wantsJson(req)) res.json(stopped);
    else res.redirect(303, `/ops/mail/actions/${id}`);
  });
}
