import { Router, type Request, type RequestHandler, type Response } from 'express';
import { AppError } from '../../shared/errors/app-error.js';
import { jsonBody, MAX_BODY_BYTES } from '../http/input/body.js';
import { Id, NoQuery } from '../http/input/inputs.js';
import { lastIdOf, nextPageLink, type Cursors } from '../http/input/pagination.js';
import { findBeforePrecondition, precondition } from '../http/preconditions.js';
import { adminIdOf } from '../http/request-context.js';
import { parse } from '../http/input/validate.js';
import type { RouteLimits } from '../rate-limits/route-limits.js';
import type { AuthenticatedReads } from '../sessions/authenticated-reads.js';
import { CreateUserRequest, UpdateUserRequest, UsersQuery, userView } from './users.schemas.js';
import {
  createUser,
  deleteUser,
  requireUser,
  updateUser,
  type CreateUserDeps,
} from './users.service.js';
import type { CreatedUser, UserReads } from './users.statements.js';

export interface UsersRoutesDeps extends CreateUserDeps {
  readonly cursors: Cursors;
  readonly limits: Pick<RouteLimits, 'userWrites'>;
  readonly requireSession: RequestHandler;
  readonly reads: AuthenticatedReads;
  readonly userReads: UserReads;
}

/**
 * An admin's users, in two forms: `/users/{id}`, and the original application's `/user?id=`. Both have the same handlers,
 * and the document's operations of the original form are derived from the others (openapi/build.ts).
 */
export function usersRoutes(deps: UsersRoutesDeps): Router {
  const { cursors, limits, reads, requireSession, userReads } = deps;
  const router = Router();
  const write = [requireSession, limits.userWrites];
  const body = jsonBody(MAX_BODY_BYTES);

  /**
   * @openapi
   * /users:
   *   post:
   *     operationId: createUser
   *     tags: [Users]
   *     summary: Create a user
   *     requestBody: { required: true, content: { application/json: { schema: { $ref: '#/components/schemas/CreateUserRequest' } } } }
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       201:
   *         description: Created.
   *         headers: { Location: { $ref: '#/components/headers/Location' } }
   *         content: { application/json: { schema: { $ref: '#/components/schemas/User' } } }
   *       409: { $ref: '#/components/responses/EmailTaken' }
   *   get:
   *     operationId: listUsers
   *     tags: [Users]
   *     summary: List my users
   *     description: Oldest first. The header `Link` leads to the next page; a page without it is the last.
   *     parameters:
   *       - { $ref: '#/components/parameters/Limit' }
   *       - { $ref: '#/components/parameters/Cursor' }
   *     responses:
   *       200:
   *         description: One page.
   *         headers: { Link: { $ref: '#/components/headers/NextPage' } }
   *         content: { application/json: { schema: { $ref: '#/components/schemas/UserList' } } }
   *       400: { $ref: '#/components/responses/InvalidCursor' }
   */
  for (const path of ['/users', '/user']) {
    router.post(path, ...write, ...body, async (req, res) => {
      answerCreated(
        res,
        await createUser(deps, adminIdOf(req), parse(CreateUserRequest, req.body)),
      );
    });
  }
  reads.get(router, {
    path: '/users',
    inputFrom: 'query',
    parse(raw, { adminId }) {
      const { limit, cursor } = parse(UsersQuery, raw);
      return { limit, after: lastIdOf(cursors, listingOf(adminId), cursor) };
    },
    async answer(claims, input, req) {
      const page = await userReads.page(claims, input);
      if (!page) return undefined;
      const last = page.hasMore ? page.lastId : null;
      return {
        body: page.json,
        link:
          last === null ? undefined : nextPageLink(cursors, listingOf(claims.adminId), last, req),
      };
    },
  });

  /**
   * @openapi
   * /users/{id}:
   *   parameters: [{ $ref: '#/components/parameters/IdInPath' }]
   *   get:
   *     operationId: getUser
   *     tags: [Users]
   *     summary: Read a user
   *     responses:
   *       200: { description: The user., content: { application/json: { schema: { $ref: '#/components/schemas/User' } } } }
   *       404: { $ref: '#/components/responses/NotFound' }
   *   put:
   *     operationId: updateUser
   *     tags: [Users]
   *     summary: Change a user
   *     requestBody: { required: true, content: { application/json: { schema: { $ref: '#/components/schemas/UpdateUserRequest' } } } }
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       200: { description: The user as it is now., content: { application/json: { schema: { $ref: '#/components/schemas/User' } } } }
   *       404: { $ref: '#/components/responses/NotFound' }
   *       409: { $ref: '#/components/responses/EmailTaken' }
   *   delete:
   *     operationId: deleteUser
   *     tags: [Users]
   *     summary: Delete a user
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       204: { description: Deleted. }
   *       404: { $ref: '#/components/responses/NotFound' }
   */
  for (const [path, idOf] of [['/users/:id', idInPath] as const, ['/user', idInQuery] as const]) {
    const found = findBeforePrecondition((req) => requireUser(adminIdOf(req), idOf(req)));
    router.put(path, ...write, found, ...body, async (req, res) => {
      const id = idOf(req);
      const changes = parse(UpdateUserRequest, req.body);
      res.json(userView(await updateUser(adminIdOf(req), id, changes)));
    });
    router.delete(path, ...write, found, precondition, async (req, res) => {
      await deleteUser(adminIdOf(req), idOf(req));
      res.status(204).end();
    });
  }

  for (const form of [
    { path: '/users/:id', inputFrom: 'params' },
    { path: '/user', inputFrom: 'query' },
  ] as const) {
    reads.get(router, {
      ...form,
      parse: (raw) => parse(Id, raw),
      async answer(claims, input) {
        const found = await userReads.user(claims, input);
        if (found?.json === null) throw new AppError('not_found');
        return found && { body: found.json };
      },
    });
  }

  return router;
}

/** By Node itself: `send` of Express takes as long as the whole insert takes here. */
function answerCreated(res: Response, { id, json }: CreatedUser): void {
  const headers = {
    Location: `/users/${id}`,
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(json),
  };
  res.writeHead(201, headers).end(json);
}

const listingOf = (adminId: number): string => `users:${adminId}`;

/** A query is refused. */
function idInPath(req: Request): number {
  parse(NoQuery, req.query);
  return parse(Id, { id: req.params['id'] }).id;
}

/** A query with anything beside the id is refused. */
const idInQuery = (req: Request): number => parse(Id, req.query).id;
