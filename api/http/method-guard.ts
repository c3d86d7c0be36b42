import type { RequestHandler } from 'express';
import { AppError } from '../../shared/errors/app-error.js';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;

/** The paths of an OpenAPI document: operations by template and method. */
export type DocumentedPaths = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Answers OPTIONS, and 405 with `Allow` where the document has the path but not the method. GET implies HEAD. */
export function methodGuard(paths: DocumentedPaths): RequestHandler {
  const routes = Object.entries(paths).map(([template, operations]) => ({
    pattern: patternOf(template),
    allowed: allowedMethods(operations),
  }));
  return (req, res, next) => {
    const allowed = routes.find(({ pattern }) => pattern.test(req.path))?.allowed;
    if (!allowed || allowed.includes(req.method)) {
      next();
      return;
    }
    if (req.method === 'OPTIONS') {
      res.setHeader('Allow', allowed.join(', '));
      res.status(204).end();
      return;
    }
    throw new AppError('method_not_allowed', { headers: { Allow: allowed.join(', ') } });
  };
}

/** Matches paths of a template as Express does: case-insensitive, with an optional trailing slash. */
export const patternOf = (template: string): RegExp =>
  new RegExp(
    `^${template.replaceAll('.', String.raw`\.`).replaceAll(/\{[^{}]+\}/g, '[^/]+')}/?$`,
    'i',
  );

function allowedMethods(operations: Readonly<Record<string, unknown>>): string[] {
  const documented = METHODS.filter((method) => method in operations).map((method) =>
    method.toUpperCase(),
  );
  return documented.includes('GET') ? [...documented, 'HEAD'] : documented;
}
