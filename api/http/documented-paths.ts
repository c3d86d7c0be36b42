const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;

/** The paths of an OpenAPI document: operations by template and method. */
export type DocumentedPaths = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Finds the methods that the document has for a path; `undefined` when it has no such path. GET implies HEAD. */
export type AllowedMethods = (path: string) => readonly string[] | undefined;

/** Paths match as in Express: case-insensitive, with an optional trailing slash. */
export function createAllowedMethods(paths: DocumentedPaths): AllowedMethods {
  const fixed = new Map<string, readonly string[]>();
  const templates: { readonly pattern: RegExp; readonly allowed: readonly string[] }[] = [];
  for (const [template, operations] of Object.entries(paths)) {
    const allowed = methodsOf(operations);
    if (template.includes('{')) templates.push({ pattern: patternOf(template), allowed });
    else fixed.set(template.toLowerCase(), allowed);
  }
  return (path) =>
    fixed.get(path) ??
    fixed.get(normalized(path)) ??
    templates.find(({ pattern }) => pattern.test(path))?.allowed;
}

const normalized = (path: string): string =>
  (path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path).toLowerCase();

/** Matches the paths of a template. */
export const patternOf = (template: string): RegExp =>
  new RegExp(
    `^${template.replaceAll('.', String.raw`\.`).replaceAll(/\{[^{}]+\}/g, '[^/]+')}/?$`,
    'i',
  );

function methodsOf(operations: Readonly<Record<string, unknown>>): string[] {
  const documented = METHODS.filter((method) => method in operations).map((method) =>
    method.toUpperCase(),
  );
  return documented.includes('GET') ? [...documented, 'HEAD'] : documented;
}
