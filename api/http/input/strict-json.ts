import { AppError } from '../../../shared/errors/app-error.js';

const MAX_DEPTH = 8;
const MAX_KEYS = 32;
const BYTE_ORDER_MARK = '\ufeff';

/**
 * Parses a JSON object that every parser reads alike (no duplicate names: RFC 8259, section 4; I-JSON, RFC 7493), with at
 * most 8 levels of at most 32 members. A leading byte order mark is ignored (RFC 8259, section 8.1).
 * @throws {AppError} `malformed_request`.
 */
export function parseJsonObject(body: string): object {
  const text = body.startsWith(BYTE_ORDER_MARK) ? body.slice(BYTE_ORDER_MARK.length) : body;
  const value = parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed('The body must be a JSON object.');
  refuseDeep(value, 1);
  refuseDuplicateNames(text);
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

/** The closing quote is optional only so that a match cannot start in the middle of a string. */
const TOKEN = /"(?:[^"\\]|\\.)*"?|[{}[\]:,]/g;

/** JSON.parse lets the last of two equal names win; another parser takes the first. The text is known to be JSON. */
function refuseDuplicateNames(text: string): void {
  // One set of names for each open object, `undefined` for an open array.
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
