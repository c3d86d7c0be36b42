/** The members of a path in an OpenAPI document that are operations. */
export const OPERATION_METHODS: readonly string[] = ['get', 'post', 'put', 'patch', 'delete'];

/** The paths of an OpenAPI document: operations by template and method. */
export type DocumentedPaths = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** What the document has at a path. */
export interface DocumentedPath {
  readonly template: string;
  /** GET implies HEAD. */
  readonly methods: readonly string[];
}

/** Finds what the document has at a path; `undefined` when it has no such path. */
export type FindPath = (path: string) => DocumentedPath | undefined;

/** Paths match as {@link normalizedPath} ones. */
export function createFindPath(paths: DocumentedPaths): FindPath {
  const fixed = new Map<string, DocumentedPath>();
  const templates: { readonly pattern: RegExp; readonly found: DocumentedPath }[] = [];
  for (const [template, operations] of Object.entries(paths)) {
    const found = { template, methods: methodsOf(operations) };
    if (template.includes('{')) templates.push({ pattern: patternOf(template), found });
    else fixed.set(template.toLowerCase(), found);
  }
  return (path) =>
    fixed.get(path) ??
    fixed.get(normalizedPath(path)) ??
    templates.find(({ pattern }) => pattern.test(path))?.found;
}

/** A path in its one spelling: Express matches regardless of case, with or without a slash at the end. */
export const normalizedPath = (path: string): string =>
  (path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path).toLowerCase();

/** Matches the paths of a template. */
export const patternOf = (template: string): RegExp =>
  new RegExp(
    `^${template.replaceAll('.', String.raw`\.`).replaceAll(/\{[^{}]+\}/g, '[^/]+')}/?$`,
    'i',
  );

function methodsOf(operations: Readonly<Record<string, unknown>>): string[] {
  const documented = OPERATION_METHODS.filter((method) => method in operations).map((method) =>
    method.toUpperCase(),
  );
  return documented.includes('GET') ? [...documented, 'HEAD'] : documented;
}
