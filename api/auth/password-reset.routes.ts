import { Router } from 'express';
import { AppError } from '../../shared/errors/app-error.js';
import { isForm, jsonBody, jsonOrFormBody, SMALL_BODY } from '../http/body.js';
import { sendPage } from '../http/page.js';
import { causeOf } from '../http/request-context.js';
import { parse } from '../http/validate.js';
import { ForgotPasswordRequest, resetPasswordRequest } from './auth.schemas.js';
import type { AuthLimits } from './auth.limits.js';
import { invalidLinkPage, tokenIn } from './confirm.pages.js';
import type { PasswordResetService } from './password-reset.service.js';
import { newPasswordPage, passwordSetPage } from './password-reset.pages.js';

/** What the routes stand on. */
export interface PasswordResetRoutesDeps {
  readonly limits: AuthLimits;
  readonly passwordReset: PasswordResetService;
  readonly passwordMinLength: number;
}

/** For admins who have forgotten their password. Reading the page changes nothing: mail scanners read every link. */
export function passwordResetRoutes({
  passwordReset,
  limits,
  passwordMinLength,
}: PasswordResetRoutesDeps): Router {
  const ResetPasswordRequest = resetPasswordRequest(passwordMinLength);
  const router = Router();

  /**
   * @openapi
   * /auth/password/forgot:
   *   post:
   *     operationId: forgotPassword
   *     tags: [Account]
   *     summary: Ask for a link that sets a new password
   *     description: Always answers the same. The link is good for an hour, and once; at most three an hour go to one account.
   *     security: []
   *     requestBody: { required: true, content: { application/json: { schema: { $ref: '#/components/schemas/ForgotPasswordRequest' } } } }
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       202: { description: Accepted., content: { application/json: { schema: { $ref: '#/components/schemas/Accepted' } } } }
   */
  router.post('/auth/password/forgot', limits.mails, ...jsonBody(SMALL_BODY), async (req, res) => {
    const { email } = parse(ForgotPasswordRequest, req.body);
    await passwordReset.forgot(email, causeOf(req));
    res.status(202).json({ status: 'accepted' });
  });

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
   *     description: Takes JSON, or an HTML form that gets a page. Every session of the admin ends.
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
   *       422: { $ref: '#/components/responses/FormRefused' }
   */
  router.get('/auth/password/reset', (req, res) => {
    const token = tokenIn(req.query);
    if (token === '') sendPage(res, 400, invalidLinkPage());
    else sendPage(res, 200, newPasswordPage(token, passwordMinLength));
  });

  router.post(
    '/auth/password/reset',
    limits.tokens,
    ...jsonOrFormBody(SMALL_BODY),
    async (req, res) => {
      const cause = causeOf(req);
      if (!isForm(req)) {
        const { token, password } = parse(ResetPasswordRequest, req.body);
        await passwordReset.reset(token, password, cause);
        res.status(204).end();
        return;
      }
      const token = tokenIn(req.body);
      try {
        const form = parse(ResetPasswordRequest, req.body);
        await passwordReset.reset(form.token, form.password, cause);
        sendPage(res, 200, passwordSetPage());
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        const isRefused =
          error.code === 'validation_failed' || error.code === 'password_too_common';
        const why = error.fields?.find(({ pointer }) => pointer === '#/password')?.detail;
        if (isRefused && token !== '')
          sendPage(res, 422, newPasswordPage(token, passwordMinLength, why));
        else if (isRefused || error.code === 'invalid_token') sendPage(res, 400, invalidLinkPage());
        else throw error;
      }
    },
  );

  return router;
}
