import { AppError } from '../../shared/errors/app-error.js';

const MAX_DEPTH = 8;
const MAX_KEYS = 32;
const BYTE_ORDER_MARK = '\ufeff';

/**
 * Reads a JSON object that every reader reads alike (RFC 8259, section 4: no name twice; I-JSON, RFC 7493), of at most
 * 8 levels and 32 members each. A byte order mark in front of it is ignored (RFC 8259, section 8.1).
 * @throws {AppError} `malformed_request`.
 */
export function parseJsonObject(body: string): object {
  const text = body.startsWith(BYTE_ORDER_MARK) ? body.slice(BYTE_ORDER_MARK.length) : body;
  const value = parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed('The body must be a JSON object.');
  refuseDeep(value, 1);
  refuseRepeatedNames(text);
  return value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed('The body is not JSON.');
  }
}

function refuseDeep(value: object, depth: number): void {
  const children: unknown[] = Object.values(value);
  if (depth > MAX_DEPTH || children.length > MAX_KEYS)
    throw malformed(`At most ${MAX_DEPTH} levels and ${MAX_KEYS} fields each.`);
  for (const child of children) {
    if (typeof child === 'object' && child !== null) refuseDeep(child, depth + 1);
  }
}

/** The end of a text is optional only so that the search cannot begin anew in the middle of one. */
const TOKEN = /"(?:[^"\\]|\\.)*"?|[{}[\]:,]/g;

/** JSON.parse lets the last of two equal names win; another reader takes the first. The text is known to be JSON. */
function refuseRepeatedNames(text: string): void {
  // One set of names for each object that is open, and none for a list.
  const open: (Set<string> | undefined)[] = [];
  let last = '';
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(undefined);
    else if (token === '}' || token === ']') open.pop();
    else if (token === ':') addName(open.at(-1), JSON.parse(last) as string);
    last = token;
  }
}

function addName(names: Set<string> | undefined, name: string): void {
  if (names?.has(name)) throw malformed('No field may be sent twice.');
  names?.add(name);
}

const malformed = (detail: string): AppError => new AppError('malformed_request', { detail });
