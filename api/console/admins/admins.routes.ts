import { Router, type Request, type Response } from 'express';
import * as z from 'zod';
import { AppError } from '../../../shared/errors/app-error.js';
import { Id } from '../../http/input/inputs.js';
import { markup } from '../../http/page.js';
import { parse } from '../../http/input/validate.js';
import {
  readAdminDetails,
  searchAdmins,
  searchRegistrations,
  sendConfirmation,
} from '../../ops/admin-search.service.js';
import { liftPasswordLocks } from '../../ops/password-locks.service.js';
import { readMailTimeline } from '../../ops/mail/mail-timeline.service.js';
import { isSuppressed } from '../../ops/mail/suppressions.service.js';
import { logOutEverywhere } from '../../sessions/sessions.service.js';
import { mayAct, operatorCause } from '../access/operator.js';
import type { ConsoleDeps } from '../console-deps.js';
import { Answer, cursor, optionalText, Reason, requireAddress } from '../form-fields.js';
import { sendConsolePage } from '../layout/console-page.js';
import { clip, counted, foreign, withQuery } from '../layout/format.js';
import { note } from '../layout/parts.js';
import { questionRoutes, sendQuestion, type Ask } from '../layout/question.js';
import { wantsJson } from '../layout/wants-json.js';
import { renderTimeline } from '../mail/mail.pages.js';
import { renderAdmin, renderAdmins, renderRegistrations, renderSessions } from './admins.pages.js';

const PAGE_SIZE = 50;
const AdminsQuery = z.object({ q: optionalText(254), cursor });
const AddressInput = z.object({ address: z.string().max(254) });
const AddressForm = z.strictObject({ address: z.string().max(254), reason: Reason });

/** The admins, their sessions, and those who have registered and not confirmed. */
export function adminRoutes(deps: ConsoleDeps): Router {
  const router = Router();

  router.get('/admins', async (req, res) => {
    const { q = '', cursor: place } = parse(AdminsQuery, req.query);
    const [page, registrations] = await Promise.all([
      searchAdmins(deps, q, { limit: PAGE_SIZE, cursor: place }),
      searchRegistrations(deps, q),
    ]);
    if (wantsJson(req)) {
      res.json({ ...page, registrations });
      return;
    }
    const more =
      page.next === null
        ? undefined
        : withQuery('/ops/admins', { ...(q !== '' && { q }), cursor: page.next });
    sendConsolePage(req, res, {
      title: 'Admins',
      section: 'admins',
      body: markup`<form class="search" role="search"><div class="box"><label for="q">Beginning of an address or a name, or an id</label>
<input type="search" id="q" name="q" value="${clip(q, 254)}" placeholder="Address, name or id" autocapitalize="none" autocomplete="off" spellcheck="false"></div>
<button type="submit">Find</button></form>
${renderAdmins(page.rows, deps.roleOf, more)}${renderRegistrations(registrations, mayAct(req))}`,
    });
  });

  router.get('/admins/:id', async (req, res) => {
    const admin = await readAdminDetails(deps, parse(Id, req.params));
    const email = { address: admin.email, canonical: admin.email_canonical };
    const mails = await readMailTimeline(deps, email);
    if (wantsJson(req)) {
      res.json({ ...admin, mails });
      return;
    }
    sendConsolePage(req, res, {
      title: clip(admin.name, 200),
      section: 'admins',
      body: markup`${renderAdmin(admin, deps.roleOf, mayAct(req))}${renderSessions(admin, mayAct(req))}${renderTimeline(mails, mayAct(req))}`,
    });
  });

  sessionsRoutes(router, deps);
  locksRoutes(router, deps);
  confirmationRoutes(router, deps);
  return router;
}

function sessionsRoutes(router: Router, deps: ConsoleDeps): void {
  const ask: Ask = async (req, res) => {
    const admin = await readAdminDetails(deps, parse(Id, req.params));
    sendQuestion(req, res, {
      title: 'End all sessions?',
      section: 'admins',
      text: markup`<p>${foreign(admin.name, 200)} is logged out everywhere, at once: ${counted(admin.live_sessions, 'session')}.</p>`,
      action: `/ops/admins/${admin.id}/end-sessions`,
      button: 'End them',
      isFinal: true,
      back: `/ops/admins/${admin.id}`,
    });
  };
  questionRoutes(router, '/admins/:id/end-sessions', ask, async (req, res) => {
    const admin = await readAdminDetails(deps, parse(Id, req.params));
    const { reason } = parse(Answer, req.body);
    const ended = await logOutEverywhere(deps, { id: admin.id }, operatorCause(req, reason));
    if (wantsJson(req)) res.json({ ended });
    else res.redirect(303, `/ops/admins/${admin.id}`);
  });
}

function locksRoutes(router: Router, deps: ConsoleDeps): void {
  const ask: Ask = async (req, res) => {
    const { id, name, locks } = await readAdminDetails(deps, parse(Id, req.params));
    sendQuestion(req, res, {
      title: 'Lift the locks?',
      section: 'admins',
      text: markup`<p>${foreign(name, 200)} may try passwords again, and so may whoever has guessed at them: ${counted(locks.length, 'lock')}. Limits of requests by client stay.</p>`,
      action: `/ops/admins/${id}/unlock`,
      button: 'Lift them',
      back: `/ops/admins/${id}`,
    });
  };
  questionRoutes(router, '/admins/:id/unlock', ask, async (req, res) => {
    const { id } = parse(Id, req.params);
    const { reason } = parse(Answer, req.body);
    const { limits } = await liftPasswordLocks(deps, { id }, operatorCause(req, reason));
    if (wantsJson(req)) res.json({ lifted: limits });
    else res.redirect(303, `/ops/admins/${id}`);
  });
}

function confirmationRoutes(router: Router, deps: ConsoleDeps): void {
  const ask: Ask = async (req, res, fields) => {
    const email = requireAddress(parse(AddressInput, fields).address);
    const { address } = email;
    if (await isSuppressed(deps, email)) {
      refuseSuppressed(req, res, address);
      return;
    }
    sendQuestion(req, res, {
      title: 'Send a new confirmation?',
      section: 'admins',
      text: markup`<p>${foreign(address, 254)} gets a mail with another link, as if its owner had requested one. Only a few an hour are sent.</p>`,
      action: '/ops/confirmations/send',
      button: 'Send it',
      carried: { address },
      back: withQuery('/ops/admins', { q: address }),
    });
  };
  questionRoutes(router, '/confirmations/send', ask, async (req, res) => {
    const { address, reason } = parse(AddressForm, req.body);
    const email = requireAddress(address);
    const outcome = await sendConfirmation(deps, email, operatorCause(req, reason));
    if (outcome === 'suppressed') refuseSuppressed(req, res, email.address);
    else if (wantsJson(req)) res.status(202).json({ address: email.address });
    else res.redirect(303, withQuery('/ops/mail', { q: email.address }));
  });
}

/** Answers that no mail is sent to an address, and where that is changed. @throws {AppError} where data were asked for. */
function refuseSuppressed(req: Request, res: Response, address: string): void {
  if (wantsJson(req)) {
    const detail = 'is suppressed: lift the suppression first';
    throw new AppError('validation_failed', { fields: [{ pointer: '#/address', detail }] });
  }
  const page = {
    title: 'The address is suppressed',
    section: 'admins',
    body: note(
      'warn',
      markup`<p>No mail is sent to ${foreign(address, 254)}. <a href="${withQuery('/ops/mail/suppressions/lift', { address })}">Lift the suppression…</a> first.</p>`,
    ),
  } as const;
  sendConsolePage(req, res, page, 422);
}
