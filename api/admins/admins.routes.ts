import { Router, type RequestHandler } from 'express';
import * as z from 'zod';
import { pageQuery, readPage, type Cursors } from '../http/pagination.js';
import { principalOf } from '../http/request-context.js';
import { parse } from '../http/validate.js';
import type { AdminsService } from './admins.service.js';
import { adminView, type RoleOf } from './admins.views.js';

export interface AdminsRoutesDeps {
  readonly admins: AdminsService;
  readonly cursors: Cursors;
  readonly roleOf: RoleOf;
  readonly adminsOnly: RequestHandler;
}

const AdminsQuery = z.strictObject({
  ...pageQuery,
  logged_in: z.enum(['true', 'false']).default('false'),
});

/** Looking at admins. */
export function adminsRoutes({ admins, cursors, roleOf, adminsOnly }: AdminsRoutesDeps): Router {
  const router = Router();

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
