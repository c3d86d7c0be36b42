import { readFileSync } from 'node:fs';
import { Router, type Request, type RequestHandler, type Response } from 'express';
import * as z from 'zod';
import { projectRoot } from '../../shared/config/project-root.js';
import { DEFAULT_PASSWORD_MIN_LENGTH } from '../../shared/config/variables.js';
import { AppError } from '../../shared/errors/app-error.js';
import { pathOf } from '../http/request-context.js';

/** The files of Swagger UI are below this path. */
export const DOCS_FILES = '/apidocs/';

const Document = z.looseObject({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) });

export type OpenApiDocument = z.infer<typeof Document>;

/**
 * The built document, with the configured length of new passwords.
 * @throws when the build has not written it.
 */
export function readOpenApiDocument(passwordMinLength: number): OpenApiDocument {
  const file = new URL('dist/api/openapi/openapi.json', projectRoot);
  return Document.parse(
    JSON.parse(readFileSync(file, 'utf8'), (_key, value: unknown) =>
      isNewPassword(value) ? { ...value, minLength: passwordMinLength } : value,
    ),
  );
}

/** Told from a known password by its length. */
const isNewPassword = (value: unknown): value is object =>
  typeof value === 'object' &&
  value !== null &&
  'format' in value &&
  value.format === 'password' &&
  'minLength' in value &&
  value.minLength === DEFAULT_PASSWORD_MIN_LENGTH;

const OPTIONS = {
  customSiteTitle: 'Rollcall API',
  // The list of servers has an empty label: it is named without being shown.
  customCss: `.swagger-ui .topbar { display: none } .swagger-ui .servers > label::before { content: '' / 'Server' }`,
  swaggerOptions: {
    persistAuthorization: false,
    validatorUrl: null,
    displayRequestDuration: true,
    docExpansion: 'list',
  },
};

/** The files that the page loads; no other file of Swagger UI's package is served. */
const FILES: ReadonlySet<string> = new Set([
  '/swagger-ui.css',
  '/swagger-ui-bundle.js',
  '/swagger-ui-standalone-preset.js',
  '/swagger-ui-init.js',
  '/favicon-16x16.png',
  '/favicon-32x32.png',
]);

const READS: readonly string[] = ['GET', 'HEAD'];

/** Swagger UI needs inline styles; scripts are still allowed from this origin only. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/** Swagger UI at `/apidocs` and the document that it shows. */
export function docsRoutes(document: Readonly<Record<string, unknown>>): Router {
  const router = Router();

  /**
   * @openapi
   * /openapi.json:
   *   get:
   *     operationId: getOpenApi
   *     tags: [Service]
   *     summary: This document
   *     security: []
   *     responses:
   *       200: { description: OpenAPI 3.1., content: { application/json: { schema: { type: object } } } }
   * /apidocs:
   *   get:
   *     operationId: showDocs
   *     tags: [Service]
   *     summary: This document as Swagger UI
   *     security: []
   *     responses:
   *       200: { description: A page., content: { text/html: { schema: { type: string } } } }
   */
  const json = Buffer.from(JSON.stringify(document));
  router.get('/openapi.json', (_req, res) => void res.type('json').send(json));

  let opened: ReturnType<typeof openSwaggerUi> | undefined;
  router.use('/apidocs', async (req, res, next) => {
    if (req.path !== '/' && !FILES.has(req.path)) throw new AppError('not_found');
    if (!READS.includes(req.method)) return refuseMethod(req, res);
    const { page, pageWithoutSlash, files } = await (opened ??= openSwaggerUi(document));
    res.setHeader('Content-Security-Policy', POLICY);
    if (req.path !== '/') files(req, res, next);
    else res.type('html').send(pathOf(req).endsWith('/') ? page : pageWithoutSlash);
  });

  return router;
}

/** As the front does, which knows documented paths alone. @throws {AppError} `method_not_allowed`. */
function refuseMethod({ method }: Request, res: Response): void {
  const headers = { Allow: READS.join(', ') };
  if (method !== 'OPTIONS') throw new AppError('method_not_allowed', { headers });
  res.writeHead(204, headers).end();
}

/** Loaded at the first request: the package evaluates the whole bundle, which would delay the start of the API. */
async function openSwaggerUi(document: Readonly<Record<string, unknown>>) {
  const { default: swaggerUi } = await import('swagger-ui-express');
  const page = swaggerUi.generateHTML(document, OPTIONS);
  const files: RequestHandler = Router().use(
    // The first serves swagger-ui-init.js; the second, the package's files, takes no options here.
    swaggerUi.serveFiles(document, OPTIONS).slice(0, 1),
    swaggerUi.serveWithOptions({ etag: false, lastModified: false, acceptRanges: false }),
  );
  // Without the trailing slash, relative URLs resolve against the parent folder.
  return { page, pageWithoutSlash: page.replaceAll('"./', '"./apidocs/'), files };
}
