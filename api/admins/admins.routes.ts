import { Router, type RequestHandler } from 'express';
import { readPage, type Cursors } from '../http/input/pagination.js';
import { principalOf } from '../http/request-context.js';
import { parse } from '../http/input/validate.js';
import { adminView, AdminsQuery } from './admins.schemas.js';
import { listAdmins, type RoleOf } from './admins.service.js';

export interface AdminsRoutesDeps {
  readonly cursors: Cursors;
  readonly roleOf: RoleOf;
  readonly requireAdmin: RequestHandler;
}

export function adminsRoutes(deps: AdminsRoutesDeps): Router {
  const { cursors, roleOf, requireAdmin } = deps;
  const router = Router();

  /**
   * @openapi
   * /auth/admins:
   *   get:
   *     operationId: listAdmins
   *     tags: [Account]
   *     summary: List admins
   *     description: Operators see every admin, other admins only themselves. Oldest first.
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
  router.get('/auth/admins', requireAdmin, async (req, res) => {
    const { admin } = principalOf(req);
    const { limit, cursor, logged_in: loggedIn } = parse(AdminsQuery, req.query);
    const page = { listing: `admins:${admin.id}`, limit, cursor };
    const found = await readPage(cursors, page, { req, res }, (count, after) =>
      listAdmins(deps, admin, { limit: count, after, loggedIn: loggedIn === 'true' }),
    );
    res.json(found.map((each) => adminView(each, roleOf)));
  });

  return router;
}
