import { Router } from 'express';
import { isForm, jsonOrFormBody, MAX_CREDENTIALS_BODY_BYTES } from '../http/input/body.js';
import { answerFormsWithPages, sendPage } from '../http/page.js';
import { causeOf } from '../http/request-context.js';
import { parse } from '../http/input/validate.js';
import type { RouteLimits } from '../rate-limits/route-limits.js';
import { ConfirmRequest } from './registration.schemas.js';
import {
  answerForm,
  resendForm,
  textIn,
  type RejectionPages,
} from '../mailed-links/mailed-links.pages.js';
import {
  confirmedPage,
  confirmPage,
  invalidLinkPage,
  otherNamePage,
  WRONG_PASSWORD,
  wrongPasswordPage,
} from './confirm.pages.js';
import { canBeConfirmed, confirm, type ConfirmDeps } from './confirm.service.js';

export interface ConfirmRoutesDeps extends ConfirmDeps {
  readonly limits: RouteLimits;
}

/** Following the mailed link. GET changes nothing: mail scanners open every link. */
export function confirmRoutes(deps: ConfirmRoutesDeps): Router {
  const { limits } = deps;
  const router = Router();

  /**
   * @openapi
   * /auth/confirm:
   *   get:
   *     operationId: showConfirmation
   *     tags: [Registration]
   *     summary: The page that a mailed link leads to
   *     description: A password field and a button. Nothing changes until it is pressed, so a mail scanner that follows the link does no harm.
   *     security: []
   *     parameters:
   *       - { name: token, in: query, required: true, description: The token from the mailed link., schema: { type: string } }
   *     responses:
   *       200: { description: The page., content: { text/html: { schema: { type: string } } } }
   *       400: { $ref: '#/components/responses/InvalidToken' }
   *   post:
   *     operationId: confirm
   *     tags: [Registration]
   *     summary: Confirm an address
   *     description: >-
   *       The link proves the mailbox, and the password selects the registration of the address; to confirm a new
   *       address of an account, send the account's password. Takes JSON or an HTML form and answers in kind.
   *       Idempotent. If the registered name has been taken meanwhile, send another `name` with the same token.
   *     security: []
   *     requestBody:
   *       required: true
   *       content:
   *         application/json: { schema: { $ref: '#/components/schemas/ConfirmRequest' } }
   *         application/x-www-form-urlencoded: { schema: { $ref: '#/components/schemas/ConfirmRequest' } }
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       200:
   *         description: Confirmed.
   *         content:
   *           application/json: { schema: { $ref: '#/components/schemas/Confirmed' } }
   *           text/html: { schema: { type: string } }
   *       400: { $ref: '#/components/responses/InvalidToken' }
   *       403: { $ref: '#/components/responses/WrongPasswordAtConfirmation' }
   *       409: { $ref: '#/components/responses/NameTakenAtConfirmation' }
   *       422: { $ref: '#/components/responses/ValidationFailed' }
   *       503: { $ref: '#/components/responses/Overloaded' }
   */
  router.get('/auth/confirm', async (req, res) => {
    const token = textIn(req.query, 'token');
    if (await canBeConfirmed(deps, token)) sendPage(res, 200, confirmPage(token));
    else sendPage(res, 400, invalidLinkPage());
  });

  router.post(
    '/auth/confirm',
    answerFormsWithPages(resendForm),
    limits.tokens,
    ...jsonOrFormBody(MAX_CREDENTIALS_BODY_BYTES),
    async (req, res) => {
      await answerForm({ req, res }, rejectionPages, async () => {
        await confirm(deps, parse(ConfirmRequest, req.body), causeOf(req));
        if (isForm(req)) sendPage(res, 200, confirmedPage());
        else res.json({ status: 'confirmed' });
      });
    },
  );

  return router;
}

const rejectionPages: RejectionPages = {
  invalidLink: invalidLinkPage,
  rejected({ error, token, name, faultOf }) {
    switch (error.code) {
      case 'wrong_password':
        return name === '' ? wrongPasswordPage(token) : otherNamePage(token, WRONG_PASSWORD, name);
      case 'name_taken':
        return otherNamePage(token, 'Somebody else has this name already.', name);
      case 'validation_failed': {
        const nameFault = faultOf('name');
        if (nameFault !== undefined) return otherNamePage(token, `This name ${nameFault}.`, name);
        if (faultOf('password') === undefined) return undefined;
        return confirmPage(token, 'Enter your password.');
      }
      default:
        return undefined;
    }
  },
};
