import { Router } from 'express';
import {
  isForm,
  jsonBody,
  jsonOrFormBody,
  MAX_CREDENTIALS_BODY_BYTES,
} from '../http/input/body.js';
import { answerFormsWithPages, sendPage } from '../http/page.js';
import { causeOf } from '../http/request-context.js';
import { parse } from '../http/input/validate.js';
import type { RouteLimits } from '../rate-limits/route-limits.js';
import { registerRequest, ResendRequest } from './registration.schemas.js';
import { mailSentPage, resendForm } from '../mailed-links/mailed-links.pages.js';
import { register, resendConfirmation, type RegistrationDeps } from './registration.service.js';

export interface RegistrationRoutesDeps extends RegistrationDeps {
  readonly limits: RouteLimits;
  readonly passwordMinLength: number;
}

const ACCEPTED = { status: 'accepted' } as const;

/** Registering, and requesting another link. */
export function registrationRoutes(deps: RegistrationRoutesDeps): Router {
  const { limits } = deps;
  const RegisterRequest = registerRequest(deps.passwordMinLength);
  const router = Router();

  /**
   * @openapi
   * /auth/register:
   *   post:
   *     operationId: register
   *     tags: [Registration]
   *     summary: Register as an admin
   *     description: >-
   *       Answers the same for every address: an address without an account gets a mail with a link, the owner of an
   *       account gets a notice. A link is valid for 24 hours by default, and for every registration of the address: the
   *       password that is entered there selects the one that takes effect.
   *     security: []
   *     requestBody: { required: true, content: { application/json: { schema: { $ref: '#/components/schemas/RegisterRequest' } } } }
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       202: { description: Accepted; check your inbox., content: { application/json: { schema: { $ref: '#/components/schemas/Accepted' } } } }
   *       409: { $ref: '#/components/responses/NameTaken' }
   *       422: { $ref: '#/components/responses/InvalidPassword' }
   *       503: { $ref: '#/components/responses/Overloaded' }
   */
  router.post(
    '/auth/register',
    limits.registrations,
    ...jsonBody(MAX_CREDENTIALS_BODY_BYTES),
    async (req, res) => {
      await register(deps, parse(RegisterRequest, req.body), causeOf(req));
      res.status(202).json(ACCEPTED);
    },
  );

  /**
   * @openapi
   * /auth/confirm/resend:
   *   post:
   *     operationId: resendConfirmation
   *     tags: [Registration]
   *     summary: Ask for another confirmation link
   *     description: >-
   *       Always answers the same. At most three of these links an hour go to one address, and six links in all, or
   *       twice as many while no earlier one works; a new one voids the older ones. The owner of an account with the
   *       address is mailed, at most once a day, that there is one. Takes JSON, or an HTML form that gets a page.
   *     security: []
   *     requestBody:
   *       required: true
   *       content:
   *         application/json: { schema: { $ref: '#/components/schemas/ResendRequest' } }
   *         application/x-www-form-urlencoded: { schema: { $ref: '#/components/schemas/ResendRequest' } }
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       202:
   *         description: Accepted.
   *         content:
   *           application/json: { schema: { $ref: '#/components/schemas/Accepted' } }
   *           text/html: { schema: { type: string } }
   */
  router.post(
    '/auth/confirm/resend',
    answerFormsWithPages(resendForm),
    limits.mails,
    ...jsonOrFormBody(MAX_CREDENTIALS_BODY_BYTES),
    async (req, res) => {
      const { email } = parse(ResendRequest, req.body);
      await resendConfirmation(deps, email, causeOf(req));
      if (isForm(req)) sendPage(res, 202, mailSentPage());
      else res.status(202).json(ACCEPTED);
    },
  );

  return router;
}
