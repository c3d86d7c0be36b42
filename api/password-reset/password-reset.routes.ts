import { Router } from 'express';
import { AppError } from '../../shared/errors/app-error.js';
import { isForm, jsonOrFormBody, MAX_CREDENTIALS_BODY_BYTES } from '../http/input/body.js';
import { answerFormsWithPages, sendPage } from '../http/page.js';
import { causeOf } from '../http/request-context.js';
import { parse } from '../http/input/validate.js';
import { ForgotPasswordRequest, resetPasswordRequest } from './password-reset.schemas.js';
import type { RouteLimits } from '../rate-limits/route-limits.js';
import {
  answerForm,
  forgotForm,
  mailSentPage,
  textIn,
  type RejectionPages,
} from '../mailed-links/mailed-links.pages.js';
import { invalidResetLinkPage, newPasswordPage, passwordSetPage } from './password-reset.pages.js';
import {
  forgotPassword,
  readResetLink,
  resetPassword,
  type PasswordResetDeps,
} from './password-reset.service.js';

export interface PasswordResetRoutesDeps extends PasswordResetDeps {
  readonly limits: RouteLimits;
  readonly passwordMinLength: number;
}

/** For admins who have forgotten their password. GET changes nothing: mail scanners open every link. */
export function passwordResetRoutes(deps: PasswordResetRoutesDeps): Router {
  const { limits, passwordMinLength } = deps;
  const ResetPasswordRequest = resetPasswordRequest(passwordMinLength);
  const router = Router();
  const body = jsonOrFormBody(MAX_CREDENTIALS_BODY_BYTES);

  /**
   * @openapi
   * /auth/password/forgot:
   *   post:
   *     operationId: forgotPassword
   *     tags: [Account]
   *     summary: Ask for a link that sets a new password
   *     description: >-
   *       Always answers the same. The link works once, within an hour; at most three an hour go to one address, or
   *       six while no earlier one works. For an address that is registered but not confirmed, it also confirms the
   *       registration. Takes JSON, or an HTML form that gets a page.
   *     security: []
   *     requestBody:
   *       required: true
   *       content:
   *         application/json: { schema: { $ref: '#/components/schemas/ForgotPasswordRequest' } }
   *         application/x-www-form-urlencoded: { schema: { $ref: '#/components/schemas/ForgotPasswordRequest' } }
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       202:
   *         description: Accepted.
   *         content:
   *           application/json: { schema: { $ref: '#/components/schemas/Accepted' } }
   *           text/html: { schema: { type: string } }
   */
  router.post(
    '/auth/password/forgot',
    answerFormsWithPages(forgotForm),
    limits.mails,
    ...body,
    async (req, res) => {
      const { email } = parse(ForgotPasswordRequest, req.body);
      await forgotPassword(deps, email, causeOf(req));
      if (isForm(req)) sendPage(res, 202, mailSentPage());
      else res.status(202).json({ status: 'accepted' });
    },
  );

  /**
   * @openapi
   * /auth/password/reset:
   *   get:
   *     operationId: showPasswordReset
   *     tags: [Account]
   *     summary: The page that a mailed link leads to
   *     description: One field and one button. Nothing changes until it is pressed.
   *     security: []
   *     parameters:
   *       - { name: token, in: query, required: true, description: The token from the mailed link., schema: { type: string } }
   *     responses:
   *       200: { description: The page., content: { text/html: { schema: { type: string } } } }
   *       400: { $ref: '#/components/responses/InvalidToken' }
   *   post:
   *     operationId: resetPassword
   *     tags: [Account]
   *     summary: Set a new password
   *     description: >-
   *       Takes JSON, or an HTML form that gets a page. Every session of the admin ends. If the link confirms a
   *       registration whose name has been taken meanwhile, send another `name` with the same token.
   *     security: []
   *     requestBody:
   *       required: true
   *       content:
   *         application/json: { schema: { $ref: '#/components/schemas/ResetPasswordRequest' } }
   *         application/x-www-form-urlencoded: { schema: { $ref: '#/components/schemas/ResetPasswordRequest' } }
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       200: { description: Set; the page for a form., content: { text/html: { schema: { type: string } } } }
   *       204: { description: Set. }
   *       400: { $ref: '#/components/responses/InvalidToken' }
   *       409: { $ref: '#/components/responses/NameTakenAtConfirmation' }
   *       422: { $ref: '#/components/responses/InvalidPassword' }
   *       503: { $ref: '#/components/responses/Overloaded' }
   */
  router.get('/auth/password/reset', async (req, res) => {
    const token = textIn(req.query, 'token');
    try {
      const { registeredName: name } = await readResetLink(deps, token);
      sendPage(res, 200, newPasswordPage({ token, minLength: passwordMinLength, name }));
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'invalid_token') throw error;
      sendPage(res, 400, invalidResetLinkPage());
    }
  });

  router.post(
    '/auth/password/reset',
    answerFormsWithPages(forgotForm),
    limits.tokens,
    ...body,
    async (req, res) => {
      await answerForm({ req, res }, rejectionPages(passwordMinLength), async () => {
        await resetPassword(deps, parse(ResetPasswordRequest, req.body), causeOf(req));
        if (isForm(req)) sendPage(res, 200, passwordSetPage());
        else res.status(204).end();
      });
    },
  );

  return router;
}

const rejectionPages = (minLength: number): RejectionPages => ({
  invalidLink: invalidResetLinkPage,
  rejected({ error, token, name: entered, faultOf }) {
    switch (error.code) {
      case 'name_taken': {
        const refusal = 'Somebody else has the name of this account. Choose another one.';
        return newPasswordPage({ token, minLength, refusal, name: entered });
      }
      case 'password_too_common':
      case 'validation_failed': {
        const [nameFault, passwordFault] = [faultOf('name'), faultOf('password')];
        const fault = nameFault ?? passwordFault;
        if (fault === undefined) return undefined;
        const refusal = `That ${nameFault === undefined ? 'password' : 'name'} ${fault}.`;
        const name = nameFault !== undefined || entered !== '' ? entered : undefined;
        return newPasswordPage({ token, minLength, refusal, name });
      }
      default:
        return undefined;
    }
  },
});
