import { Router } from 'express';
import swaggerUi from 'swagger-ui-express';

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
  router.get('/openapi.json', (_req, res) => void res.json(document));

  router.use('/apidocs', (_req, res, next) => {
    // Swagger UI styles itself by attributes and two style elements; scripts still come from here alone.
    res.setHeader(
      'Content-Security-Policy',
      "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    );
    next();
  });
  router.use(
    '/apidocs',
    swaggerUi.serve,
    swaggerUi.setup(document, {
      customSiteTitle: 'Rollcall API',
      customCss: '.swagger-ui .topbar { display: none }',
      swaggerOptions: {
        persistAuthorization: false,
        validatorUrl: null,
        displayRequestDuration: true,
        docExpansion: 'list',
      },
    }),
  );

  return router;
}
