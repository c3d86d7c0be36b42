import { Router, type RequestHandler } from 'express';
import { jsonBody, MAX_CREDENTIALS_BODY_BYTES } from '../http/input/body.js';
import { causeOf, principalOf } from '../http/request-context.js';
import { NoQuery } from '../http/input/inputs.js';
import { parse } from '../http/input/validate.js';
import { adminView } from '../admins/admins.schemas.js';
import type { RoleOf } from '../admins/admins.service.js';
import type { RouteLimits } from '../rate-limits/route-limits.js';
import type { AuthenticatedReads } from '../sessions/authenticated-reads.js';
import type { FindAdmin } from '../sessions/require-admin.js';
import { DeleteMeRequest, updateMeRequest } from './account.schemas.js';
import { changeAccount, deleteAccount, type AccountDeps } from './account.service.js';

export interface AccountRoutesDeps extends AccountDeps {
  readonly limits: RouteLimits;
  readonly roleOf: RoleOf;
  readonly requireAdmin: RequestHandler;
  readonly findAdmin: FindAdmin;
  readonly reads: AuthenticatedReads;
  readonly passwordMinLength: number;
}

/** An admin's own account. */
export function accountRoutes(deps: AccountRoutesDeps): Router {
  const { findAdmin, limits, reads, roleOf, requireAdmin } = deps;
  const UpdateMeRequest = updateMeRequest(deps.passwordMinLength);
  const router = Router();
  const body = jsonBody(MAX_CREDENTIALS_BODY_BYTES);

  /**
   * @openapi
   * /auth/me:
   *   get:
   *     operationId: getMe
   *     tags: [Account]
   *     summary: Read my account
   *     responses:
   *       200: { description: The authenticated admin., content: { application/json: { schema: { $ref: '#/components/schemas/Admin' } } } }
   *       422: { $ref: '#/components/responses/ValidationFailed' }
   *   put:
   *     operationId: updateMe
   *     tags: [Account]
   *     summary: Change my name, address or password
   *     description: >-
   *       A new password ends all other sessions. A new address stays `pending_email` until the link that is mailed to
   *       it is followed, or has expired; the old address is notified. Another spelling of the same address (`Ann@` for
   *       `ann@`) takes effect at once. At most three changes of address an hour are accepted.
   *     requestBody: { required: true, content: { application/json: { schema: { $ref: '#/components/schemas/UpdateMeRequest' } } } }
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       200: { description: The admin as it is now., content: { application/json: { schema: { $ref: '#/components/schemas/Admin' } } } }
   *       403: { $ref: '#/components/responses/WrongPassword' }
   *       409: { $ref: '#/components/responses/NameTaken' }
   *       422: { $ref: '#/components/responses/InvalidPassword' }
   *       503: { $ref: '#/components/responses/Overloaded' }
   *   delete:
   *     operationId: deleteMe
   *     tags: [Account]
   *     summary: Delete my account and all of its users
   *     requestBody: { required: true, content: { application/json: { schema: { $ref: '#/components/schemas/DeleteMeRequest' } } } }
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       204: { description: Deleted. }
   *       403: { $ref: '#/components/responses/WrongPassword' }
   *       503: { $ref: '#/components/responses/Overloaded' }
   */
  reads.get(router, {
    path: '/auth/me',
    inputFrom: 'params',
    parse: () => undefined,
    async answer(claims) {
      const admin = await findAdmin(claims);
      return admin && { body: JSON.stringify(adminView(admin, roleOf)) };
    },
  });
  router.put('/auth/me', requireAdmin, limits.accountChanges, ...body, async (req, res) => {
    const { current_password: currentPassword, ...changes } = parse(UpdateMeRequest, req.body);
    parse(NoQuery, req.query);
    const cause = causeOf(req);
    const wanted = { ...changes, currentPassword };
    const admin = await changeAccount(deps, principalOf(req), wanted, cause);
    res.json(adminView(admin, roleOf));
  });
  router.delete('/auth/me', requireAdmin, limits.accountChanges, ...body, async (req, res) => {
    parse(NoQuery, req.query);
    const { current_password: password } = parse(DeleteMeRequest, req.body);
    await deleteAccount(deps, principalOf(req), password, causeOf(req));
    res.status(204).end();
  });

  return router;
}
