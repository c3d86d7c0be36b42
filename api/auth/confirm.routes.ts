import { Router } from 'express';
import { AppError } from '../../shared/errors/app-error.js';
import { isForm, jsonOrFormBody, SMALL_BODY } from '../http/body.js';
import { sendPage } from '../http/page.js';
import { causeOf } from '../http/request-context.js';
import { parse } from '../http/validate.js';
import { ConfirmRequest } from './auth.schemas.js';
import {
  askPage,
  confirmedPage,
  invalidLinkPage,
  nameTakenPage,
  tokenIn,
} from './confirm.pages.js';
import type { ConfirmService } from './confirm.service.js';
import type { AuthLimits } from './auth.limits.js';

/** What the confirmation's routes stand on. */
export interface ConfirmRoutesDeps {
  readonly addresses: ConfirmService;
  readonly limits: AuthLimits;
}

/** Following the mailed link. Reading the page changes nothing: mail scanners read every link. */
export function confirmRoutes({ addresses, limits }: ConfirmRoutesDeps): Router {
  const router = Router();

  /**
   * @openapi
   * /auth/confirm:
   *   get:
   *     operationId: showConfirmation
   *     tags: [Registration]
   *     summary: The page that a mailed link leads to
   *     description: One button. Nothing changes until it is pressed, so a mail scanner that follows the link does no harm.
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
   *       Takes JSON or an HTML form and answers in kind. Confirming again answers the same. When somebody else has
   *       confirmed the registered name first, send another `name` with the same token.
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
   *       409: { $ref: '#/components/responses/NameTakenAtConfirmation' }
   *       422: { $ref: '#/components/responses/FormRefused' }
   */
  router.get('/auth/confirm', (req, res) => {
    const token = tokenIn(req.query);
    if (token === '') sendPage(res, 400, invalidLinkPage());
    else sendPage(res, 200, askPage(token));
  });

  router.post('/auth/confirm', limits.tokens, ...jsonOrFormBody(SMALL_BODY), async (req, res) => {
    const body: unknown = req.body;
    if (!isForm(req)) {
      const { token, name } = parse(ConfirmRequest, body);
      await addresses.confirm(token, name, causeOf(req));
      res.json({ status: 'confirmed' });
      return;
    }
    const token = tokenIn(body);
    try {
      const form = parse(ConfirmRequest, body);
      await addresses.confirm(form.token, form.name, causeOf(req));
      sendPage(res, 200, confirmedPage());
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      if (error.code === 'name_taken')
        sendPage(res, 409, nameTakenPage(token, 'This name has been taken.'));
      else if (error.code === 'validation_failed' && token !== '') {
        sendPage(res, 422, nameTakenPage(token, 'This name cannot be used.'));
      } else if (error.code === 'invalid_token' || error.code === 'validation_failed') {
        sendPage(res, 400, invalidLinkPage());
      } else throw error;
    }
  });

  return router;
}
