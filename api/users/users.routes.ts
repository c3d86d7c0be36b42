import { Router, type Request, type RequestHandler } from 'express';
import { jsonBody, NORMAL_BODY } from '../http/body.js';
import { Id } from '../http/inputs.js';
import { readPage, type Cursors } from '../http/pagination.js';
import { principalOf } from '../http/request-context.js';
import { parse } from '../http/validate.js';
import { CreateUserRequest, UpdateUserRequest, UsersQuery } from './users.schemas.js';
import type { UsersService } from './users.service.js';
import { userView } from './users.views.js';

export interface UsersRoutesDeps {
  readonly users: UsersService;
  readonly cursors: Cursors;
  readonly adminsOnly: RequestHandler;
  /** Bounds how fast one admin changes its users. */
  readonly userWrites: RequestHandler;
}

/** Where a request says which user it means. */
type IdSource = (req: Request) => unknown;

const inPath: IdSource = (req) => ({ id: req.params['id'] });
/** The original application's form, `/user?id=`. */
const inQuery: IdSource = (req) => req.query;

const adminIdOf = (req: Request): number => principalOf(req).admin.id;

export function usersRoutes(deps: UsersRoutesDeps): Router {
  const { users, cursors, adminsOnly, userWrites } = deps;
  const router = Router();
  const body = jsonBody(NORMAL_BODY);

  const create: RequestHandler = async (req, res) => {
    const user = await users.create(adminIdOf(req), parse(CreateUserRequest, req.body));
    res.status(201).location(`/users/${user.id}`).json(userView(user));
  };
  const list: RequestHandler = async (req, res) => {
    const { limit, cursor } = parse(UsersQuery, req.query);
    const page = { listing: `users:${adminIdOf(req)}`, limit, cursor };
    const found = await readPage(cursors, page, { req, res }, (count, after) =>
      users.list(adminIdOf(req), count, after),
    );
    res.json(found.map(userView));
  };
  const read =
    (idSource: IdSource): RequestHandler =>
    async (req, res) => {
      res.json(userView(await users.read(adminIdOf(req), parse(Id, idSource(req)).id)));
    };
  const update =
    (idSource: IdSource): RequestHandler =>
    async (req, res) => {
      const { id } = parse(Id, idSource(req));
      res.json(
        userView(await users.update(adminIdOf(req), id, parse(UpdateUserRequest, req.body))),
      );
    };
  const remove =
    (idSource: IdSource): RequestHandler =>
    async (req, res) => {
      await users.remove(adminIdOf(req), parse(Id, idSource(req)).id);
      res.status(204).end();
    };

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
  router.post('/users', adminsOnly, userWrites, ...body, create);
  router.get('/users', adminsOnly, list);

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
   *       204: { description: Gone. }
   *       404: { $ref: '#/components/responses/NotFound' }
   */
  router.get('/users/:id', adminsOnly, read(inPath));
  router.put('/users/:id', adminsOnly, userWrites, ...body, update(inPath));
  router.delete('/users/:id', adminsOnly, userWrites, remove(inPath));

  /**
   * @openapi
   * /user:
   *   post:
   *     operationId: createUserByQuery
   *     tags: [Users (original form)]
   *     summary: Create a user
   *     description: The same as `POST /users`.
   *     requestBody: { required: true, content: { application/json: { schema: { $ref: '#/components/schemas/CreateUserRequest' } } } }
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       201:
   *         description: Created.
   *         headers: { Location: { $ref: '#/components/headers/Location' } }
   *         content: { application/json: { schema: { $ref: '#/components/schemas/User' } } }
   *       409: { $ref: '#/components/responses/EmailTaken' }
   *   get:
   *     operationId: getUserByQuery
   *     tags: [Users (original form)]
   *     summary: Read a user
   *     parameters: [{ $ref: '#/components/parameters/IdInQuery' }]
   *     responses:
   *       200: { description: The user., content: { application/json: { schema: { $ref: '#/components/schemas/User' } } } }
   *       404: { $ref: '#/components/responses/NotFound' }
   *   put:
   *     operationId: updateUserByQuery
   *     tags: [Users (original form)]
   *     summary: Change a user
   *     parameters: [{ $ref: '#/components/parameters/IdInQuery' }]
   *     requestBody: { required: true, content: { application/json: { schema: { $ref: '#/components/schemas/UpdateUserRequest' } } } }
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       200: { description: The user as it is now., content: { application/json: { schema: { $ref: '#/components/schemas/User' } } } }
   *       404: { $ref: '#/components/responses/NotFound' }
   *       409: { $ref: '#/components/responses/EmailTaken' }
   *   delete:
   *     operationId: deleteUserByQuery
   *     tags: [Users (original form)]
   *     summary: Delete a user
   *     parameters: [{ $ref: '#/components/parameters/IdInQuery' }]
   *     responses:
   *       429: { $ref: '#/components/responses/TooManyAttempts' }
   *       204: { description: Gone. }
   *       404: { $ref: '#/components/responses/NotFound' }
   */
  router.post('/user', adminsOnly, userWrites, ...body, create);
  router.get('/user', adminsOnly, read(inQuery));
  router.put('/user', adminsOnly, userWrites, ...body, update(inQuery));
  router.delete('/user', adminsOnly, userWrites, remove(inQuery));

  return router;
}
