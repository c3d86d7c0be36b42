import { Router } from 'express';
import { jsonBody, SMALL_BODY } from '../http/body.js';
import { causeOf } from '../http/request-context.js';
import { parse } from '../http/validate.js';
import type { AuthLimits } from './auth.limits.js';
import { registerRequest, ResendRequest } from './auth.schemas.js';
import type { RegistrationService } from './registration.service.js';

/** What registration's routes stand on. */
export interface RegistrationRoutesDeps {
  readonly limits: AuthLimits;
  readonly registration: RegistrationService;
  readonly passwordMinLength: number;
}

const ACCEPTED = { status: 'accepted' } as const;

/** Becoming an admin, up to the mail with the link. */
export function registrationRoutes(deps: RegistrationRoutesDeps): Router {
  const { registration, limits } = deps;
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
   *       Answers the same for every address: a new or pending one is mailed a confirmation link, the owner of a
   *       confirmed one is told by mail. A link is good for 24 hours unless set otherwise. Each registration of a
   *       pending address has a link of its own, which brings its own name and password into force.
   *     security: []
   *     requestBody: { required: true, content: { application/json: { schema: { $ref: '#/components/schemas/RegisterRequest' } } } }
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       202: { description: Accepted; look into the mailbox., content: { application/json: { schema: { $ref: '#/components/schemas/Accepted' } } } }
   *       409: { $ref: '#/components/responses/NameTaken' }
   */
  router.post('/auth/register', limits.registrations, ...jsonBody(SMALL_BODY), async (req, res) => {
    await registration.register(parse(RegisterRequest, req.body), causeOf(req));
    res.status(202).json(ACCEPTED);
  });

  /**
   * @openapi
   * /auth/confirm/resend:
   *   post:
   *     operationId: resendConfirmation
   *     tags: [Registration]
   *     summary: Ask for another confirmation link
   *     description: Always answers the same. At most three links an hour go to one registered address, and six to one address in all; a new link voids the older one of the same registration.
   *     security: []
   *     requestBody: { required: true, content: { application/json: { schema: { $ref: '#/components/schemas/ResendRequest' } } } }
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       202: { description: Accepted., content: { application/json: { schema: { $ref: '#/components/schemas/Accepted' } } } }
   */
  router.post('/auth/confirm/resend', limits.mails, ...jsonBody(SMALL_BODY), async (req, res) => {
    const { email } = parse(ResendRequest, req.body);
    await registration.resend(email, causeOf(req));
    res.status(202).json(ACCEPTED);
  });

  return router;
}
