import { Router } from 'express';
import { readUuid } from '../../../shared/database/ids.js';
import { AppError } from '../../../shared/errors/app-error.js';
import { readTypedAddress } from '../../../shared/identity/email-address.js';
import { markup } from '../../http/page.js';
import { parse } from '../../http/input/validate.js';
import { listBulkActions } from '../../ops/mail/bulk-actions.service.js';
import { discardMail, groupDeadLetters, redriveMail } from '../../ops/mail/dead-letters.service.js';
import {
  readMailHistory,
  readMailTimeline,
  type MailHistory,
  type MailTimeline,
} from '../../ops/mail/mail-timeline.service.js';
import { liftSuppression, listSuppressions } from '../../ops/mail/suppressions.service.js';
import { mayAct, operatorCause } from '../access/operator.js';
import type { ConsoleDeps } from '../console-deps.js';
import { Answer, requireAddress } from '../form-fields.js';
import { sendConsolePage } from '../layout/console-page.js';
import { clip, foreign, withQuery } from '../layout/format.js';
import { nextPage, note, section } from '../layout/parts.js';
import { questionRoutes, sendQuestion, type Ask } from '../layout/question.js';
import { wantsJson } from '../layout/wants-json.js';
import { AddressQuery, LiftForm, MailQuery, MessageId, SuppressionsQuery } from './mail.forms.js';
import {
  mailSearch,
  renderActions,
  renderGroups,
  renderSuppressions,
  renderTimeline,
} from './mail.pages.js';
import { mailName, historyParts } from './mail-history.pages.js';

const PAGE_SIZE = 50;

/** Of a text that is no address. */
const NOTHING_KNOWN: Omit<MailTimeline, 'address'> = {
  suppressed: null,
  registrations: 0,
  admin: null,
  messages: [],
};

/** Finding a mail, its history, and what may be done about it. */
export function mailRoutes(deps: ConsoleDeps): Router {
  const router = Router();

  router.get('/mail', async (req, res) => {
    const { q } = parse(MailQuery, req.query);
    const id = q && readUuid(q);
    if (id) {
      res.redirect(302, `/ops/mail/messages/${id}`);
      return;
    }
    if (q !== undefined) {
      const email = readTypedAddress(q);
      const timeline = email && (await readMailTimeline(deps, email));
      if (wantsJson(req)) {
        res.json(timeline ?? { ...NOTHING_KNOWN, address: q });
        return;
      }
      const found = timeline
        ? renderTimeline(timeline, mayAct(req))
        : note(
            'warn',
            markup`<p>${foreign(q, 254)} is neither an address nor the id of a mail.</p>`,
          );
      sendConsolePage(req, res, {
        title: timeline ? `Mail to ${clip(timeline.address, 254)}` : 'Mail',
        section: 'mail',
        body: markup`${mailSearch(q)}${found}`,
      });
      return;
    }
    const [groups, actions] = await Promise.all([groupDeadLetters(deps), listBulkActions(deps)]);
    if (wantsJson(req)) {
      res.json({ groups, actions });
      return;
    }
    sendConsolePage(req, res, {
      title: 'Mail',
      section: 'mail',
      lead: markup`Find a mail by its address or id, or decide about those that failed. <a href="/ops/mail/suppressions">Suppressed addresses</a> · <a href="/ops/queues">Pause and resume</a>`,
      body: markup`${mailSearch()}${renderGroups(groups, 'dead')}${renderGroups(groups, 'uncertain')}${actions.length > 0 && renderActions(actions)}`,
    });
  });

  router.get('/mail/messages/:id', async (req, res) => {
    const history = await historyOf(deps, parse(MessageId, req.params).id);
    if (wantsJson(req)) {
      res.json(history);
      return;
    }
    sendConsolePage(req, res, {
      title: titleOf(history),
      section: 'mail',
      live: `page=mail&id=${history.id}`,
      body: markup`${mailSearch(history.recipient ?? undefined)}${historyParts(history, mayAct(req)).map(({ html }) => html)}`,
    });
  });

  decisionRoutes(router, deps);
  suppressionRoutes(router, deps);
  return router;
}

function titleOf({ mail, about, recipient }: MailHistory): string {
  const name = mailName(mail, about);
  const to = recipient === null ? '' : ` to ${clip(recipient, 254)}`;
  return `${name.slice(0, 1).toUpperCase()}${name.slice(1)}${to}`;
}

async function historyOf(deps: ConsoleDeps, id: string): Promise<MailHistory> {
  const history = await readMailHistory(deps, id);
  if (!history) throw new AppError('not_found', { detail: 'There is no mail with this id.' });
  return history;
}

const decisions = {
  redrive: {
    carryOut: redriveMail,
    button: 'Redrive it',
    text: 'It is retried at once. Its history keeps the failure.',
  },
  discard: {
    carryOut: discardMail,
    button: 'Discard it',
    text: 'It is settled and never sent. This cannot be undone.',
  },
} as const;

function decisionRoutes(router: Router, deps: ConsoleDeps): void {
  for (const [action, { carryOut, button, text }] of Object.entries(decisions)) {
    const ask: Ask = async (req, res) => {
      const history = await historyOf(deps, parse(MessageId, req.params).id);
      const back = `/ops/mail/messages/${history.id}`;
      const doubt =
        history.state === 'uncertain' &&
        action === 'redrive' &&
        note('warn', markup`<p>It may have been sent already: its recipient may get it twice.</p>`);
      sendQuestion(req, res, {
        title: `${button.replace(' it', '')} this mail?`,
        section: 'mail',
        text: markup`${doubt}<p>The ${mailName(history.mail, history.about)} to ${foreign(history.recipient ?? 'nobody', 254)}. ${text}</p>${history.last_error !== null && markup`<p class="reply" dir="auto">${clip(history.last_error)}</p>`}`,
        action: `${back}/${action}`,
        button,
        isFinal: action === 'discard',
        back,
      });
    };
    questionRoutes(router, `/mail/messages/:id/${action}`, ask, async (req, res) => {
      const { id } = parse(MessageId, req.params);
      const { reason } = parse(Answer, req.body);
      await carryOut(deps, id, operatorCause(req, reason));
      if (wantsJson(req)) res.json(await historyOf(deps, id));
      else res.redirect(303, `/ops/mail/messages/${id}`);
    });
  }
}

function suppressionRoutes(router: Router, deps: ConsoleDeps): void {
  router.get('/mail/suppressions', async (req, res) => {
    const { prefix, cursor } = parse(SuppressionsQuery, req.query);
    const page = await listSuppressions(deps, { limit: PAGE_SIZE, cursor, prefix });
    if (wantsJson(req)) {
      res.json(page);
      return;
    }
    const more =
      page.next === null
        ? undefined
        : withQuery('/ops/mail/suppressions', {
            ...(prefix !== undefined && { prefix }),
            cursor: page.next,
          });
    sendConsolePage(req, res, {
      title: 'Suppressed addresses',
      section: 'mail',
      lead: 'They bounced permanently or complained, so no mail is sent to them.',
      body: markup`<form class="search" role="search"><div class="box"><label for="prefix">Beginning of an address</label>
<input type="search" id="prefix" name="prefix" value="${clip(prefix ?? '', 254)}" placeholder="Beginning of an address" autocapitalize="none" autocomplete="off" spellcheck="false"></div>
<button type="submit">Find</button></form>
${section('suppressions', 'Addresses', markup`${renderSuppressions(page.rows, mayAct(req))}${nextPage(more)}`)}`,
    });
  });

  const ask: Ask = (req, res, fields) => {
    const { address } = requireAddress(parse(AddressQuery, fields).address);
    sendQuestion(req, res, {
      title: 'Lift the suppression?',
      section: 'mail',
      text: markup`<p>${foreign(address, 254)} gets mail again. Mails that were skipped meanwhile are not sent.</p>`,
      action: '/ops/mail/suppressions/lift',
      button: 'Lift it',
      carried: { address },
      back: withQuery('/ops/mail', { q: address }),
    });
  };
  questionRoutes(router, '/mail/suppressions/lift', ask, async (req, res) => {
    const { address, reason } = parse(LiftForm, req.body);
    const email = requireAddress(address);
    const suppression = await liftSuppression(deps, email, operatorCause(req, reason));
    if (wantsJson(req)) res.json({ address: email.address, suppression });
    else res.redirect(303, withQuery('/ops/mail', { q: email.address }));
  });
}
