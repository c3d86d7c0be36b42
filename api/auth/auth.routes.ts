import { Router, type RequestHandler } from 'express';
import * as z from 'zod';
import { jsonBody, SMALL_BODY } from '../http/body.js';
import { pageQuery, readPage, type Cursors } from '../http/pagination.js';
import { causeOf } from '../http/request-context.js';
import { parse } from '../http/validate.js';
import type { AdminsService } from './admins.service.js';
import type { AccountService } from './account.service.js';
import {
  DeleteMeRequest,
  registerRequest,
  ResendRequest,
  updateMeRequest,
} from './auth.schemas.js';
import type { AuthLimits } from './auth.limits.js';
import { adminView, type RoleOf } from './auth.views.js';
import { principalOf } from './passport.js';
import type { RegistrationService } from './registration.service.js';

/** What the auth routes stand on. */
export interface AuthRoutesDeps {
  readonly limits: AuthLimits;
  readonly registration: RegistrationService;
  readonly accounts: AccountService;
  readonly admins: AdminsService;
  readonly cursors: Cursors;
  readonly roleOf: RoleOf;
  readonly adminsOnly: RequestHandler;
  readonly passwordMinLength: number;
}

const ACCEPTED = { status: 'accepted' } as const;

const AdminsQuery = z.strictObject({
  ...pageQuery,
  logged_in: z.enum(['true', 'false']).default('false'),
});

export function authRoutes(deps: AuthRoutesDeps): Router {
  const { registration, accounts, admins, limits, cursors, roleOf, adminsOnly } = deps;
  const RegisterRequest = registerRequest(deps.passwordMinLength);
  const UpdateMeRequest = updateMeRequest(deps.passwordMinLength);
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
   *       confirmed one is told by mail. A link is good for one day. Each registration of a pending address has a link
   *       of its own, which brings its own name and password into force.
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
   *     description: Always answers the same. At most three links an hour go to one address; a new link voids the older one of the same registration.
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

  /**
   * @openapi
   * /auth/me:
   *   get:
   *     operationId: getMe
   *     tags: [Account]
   *     summary: Read my account
   *     responses:
   *       200: { description: The admin who asks., content: { application/json: { schema: { $ref: '#/components/schemas/Admin' } } } }
   *   put:
   *     operationId: updateMe
   *     tags: [Account]
   *     summary: Change my name, address or password
   *     description: >-
   *       A new password ends all other sessions. A new address stays `pending_email` until the link that is mailed to
   *       it is followed; the old address is told. Three new addresses an hour can be asked for.
   *     requestBody: { required: true, content: { application/json: { schema: { $ref: '#/components/schemas/UpdateMeRequest' } } } }
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       200: { description: The admin as it is now., content: { application/json: { schema: { $ref: '#/components/schemas/Admin' } } } }
   *       403: { $ref: '#/components/responses/WrongPassword' }
   *       409: { $ref: '#/components/responses/NameTaken' }
   *   delete:
   *     operationId: deleteMe
   *     tags: [Account]
   *     summary: Delete my account and all of its users
   *     requestBody: { required: true, content: { application/json: { schema: { $ref: '#/components/schemas/DeleteMeRequest' } } } }
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       204: { description: Gone. }
   *       403: { $ref: '#/components/responses/WrongPassword' }
   */
  router.get('/auth/me', adminsOnly, (req, res) => {
    res.json(adminView(principalOf(req).admin, roleOf));
  });
  router.put(
    '/auth/me',
    adminsOnly,
    limits.accountChanges,
    ...jsonBody(SMALL_BODY),
    async (req, res) => {
      const { current_password: currentPassword, ...changes } = parse(UpdateMeRequest, req.body);
      const cause = causeOf(req);
      const admin = await accounts.change(principalOf(req), { ...changes, currentPassword }, cause);
      res.json(adminView(admin, roleOf));
    },
  );
  router.delete(
    '/auth/me',
    adminsOnly,
    limits.accountChanges,
    ...jsonBody(SMALL_BODY),
    async (req, res) => {
      const { current_password: password } = parse(DeleteMeRequest, req.body);
      await accounts.remove(principalOf(req), password, causeOf(req));
      res.status(204).end();
    },
  );

  /**
   * @openapi
   * /auth/admins:
   *   get:
   *     operationId: listAdmins
   *     tags: [Account]
   *     summary: List admins
   *     description: An operator sees every admin, any other admin itself. Oldest first.
   *     parameters:
   *       - { name: logged_in, in: query, description: Only admins with a live session., schema: { type: string, enum: ['true', 'false'], default: 'false' } }
   *       - { $ref: '#/components/parameters/Limit' }
   *       - { $ref: '#/components/parameters/Cursor' }
   *     responses:
   *       200:
   *         description: One page.
   *         headers: { Link: { $ref: '#/components/headers/NextPage' } }
   *         content: { application/json: { schema: { $ref: '#/components/schemas/AdminList' } } }
   *       400: { $ref: '#/components/responses/InvalidCursor' }
   */
  router.get('/auth/admins', adminsOnly, async (req, res) => {
    const { admin } = principalOf(req);
    const { limit, cursor, logged_in: loggedIn } = parse(AdminsQuery, req.query);
    const page = { listing: `admins:${admin.id}`, limit, cursor };
    const found = await readPage(cursors, page, { req, res }, (count, after) =>
      admins.list(admin, { limit: count, after, loggedIn: loggedIn === 'true' }),
    );
    res.json(found.map((each) => adminView(each, roleOf)));
  });

  return router;
}
