import { Router } from 'express';
import { product } from '../../shared/config/version.js';
import { markup, sendPage, type Page } from '../http/page.js';

/** The root: JSON, or a small page for browsers. */
export function homeRoutes({ hasConsole }: { readonly hasConsole: boolean }): Router {
  const router = Router();
  const page = homePage(hasConsole);

  /**
   * @openapi
   * /:
   *   get:
   *     operationId: home
   *     tags: [Service]
   *     summary: What this is and where its documentation is
   *     security: []
   *     responses:
   *       200:
   *         description: JSON, or a page for a browser.
   *         content:
   *           application/json: { schema: { $ref: '#/components/schemas/Home' } }
   *           text/html: { schema: { type: string } }
   */
  router.get('/', (req, res) => {
    res.vary('Accept');
    if (req.accepts(['json', 'html']) === 'html') sendPage(res, 200, page);
    else res.json({ name: product.name, version: product.version, docs: '/apidocs' });
  });

  return router;
}

const homePage = (hasConsole: boolean): Page => ({
  title: 'User management',
  body: markup`<p>Register as an admin, confirm your address by the mailed link, log in, and manage your users.</p>
<a class="button" href="/apidocs">Open the API's documentation</a>
<ul>
<li><a href="/openapi.json">OpenAPI document</a></li>
<li><a href="/health/ready">Health</a></li>
${hasConsole && markup`<li><a href="/ops">Console for operators</a></li>`}
</ul>
<p class="soft">Rollcall ${product.version}</p>`,
});
