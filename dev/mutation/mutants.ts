import { createHash } from 'node:crypto';
import { parse } from '@swc/core';

/** One change to a compiled file that a test should detect. */
export interface Mutant {
  /** Stable while the file does not change. */
  readonly id: string;
  /** Relative to the project's root, with forward slashes: `dist/api/auth/passwords.js`. */
  readonly file: string;
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
  /** The change in a few words. */
  readonly what: string;
}

interface SyntaxNode {
  readonly type?: string;
  readonly span?: { readonly start: number; readonly end: number };
  readonly [key: string]: unknown;
}

type Change = Pick<Mutant, 'start' | 'end' | 'replacement' | 'what'>;

const operators: Readonly<Record<string, readonly string[]>> = {
  '===': ['!=='],
  '!==': ['==='],
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '&&': ['||'],
  '||': ['&&'],
  '??': ['&&'],
  '-': ['+'],
  '*': ['/'],
};

/** Prepended to find the base of the spans: swc counts them from the end of the file that it parsed before. */
const MARK = '0;';

/** All mutants of a compiled file: operators, conditions, negations, booleans, return values, and removed statements. */
export async function findMutants(file: string, source: string): Promise<Mutant[]> {
  const program = await parse(MARK + source, { syntax: 'ecmascript', target: 'es2022' });
  const marked = Buffer.from(MARK + source);
  const base = program.body[0]?.span.start ?? 0;
  /** Spans count bytes, strings count UTF-16 units. */
  const at = (position: number): number =>
    marked.subarray(0, position - base).toString().length - MARK.length;
  const changes: Change[] = [];
  visit(program.body.slice(1), (node) => {
    if (node.span) changes.push(...changesOf(node, source, at));
  });
  const hash = createHash('sha256').update(source).digest('hex').slice(0, 12);
  return changes
    .filter(({ start, end, replacement }) => source.slice(start, end) !== replacement)
    .map((change) =>
      Object.assign(change, {
        file,
        id: `${file}@${hash}:${change.start}-${change.end}:${change.replacement}`,
      }),
    );
}

/** The file with the change applied. */
export const mutated = (source: string, { start, end, replacement }: Mutant): string =>
  source.slice(0, start) + replacement + source.slice(end);

function visit(value: unknown, see: (node: SyntaxNode) => void): void {
  if (Array.isArray(value)) for (const each of value) visit(each, see);
  else if (typeof value === 'object' && value !== null) {
    see(value as SyntaxNode);
    for (const each of Object.values(value)) visit(each, see);
  }
}

function changesOf(node: SyntaxNode, source: string, at: (position: number) => number): Change[] {
  const placeOf = (child: unknown): [number, number] | undefined => {
    const span = (child as SyntaxNode | null | undefined)?.span;
    return span && [at(span.start), at(span.end)];
  };
  const change = (
    child: unknown,
    replacement: (text: string) => string,
    what: string,
  ): Change[] => {
    const place = placeOf(child);
    if (!place) return [];
    const [start, end] = place;
    return [{ start, end, replacement: replacement(source.slice(start, end)), what }];
  };
  const constant = (child: unknown, text: string, what: string): Change[] =>
    change(child, () => text, what);

  switch (node.type) {
    case 'BinaryExpression':
      return operatorChanges(node, source, placeOf);
    case 'IfStatement':
    case 'ConditionalExpression':
      return ['true', 'false'].flatMap((text) => constant(node['test'], text, `condition ${text}`));
    case 'WhileStatement':
      return constant(node['test'], 'false', 'loop left out');
    case 'UnaryExpression':
      return node['operator'] === '!'
        ? change(node, () => source.slice(...(placeOf(node['argument']) ?? [0, 0])), 'no negation')
        : [];
    case 'BooleanLiteral':
      return change(node, (text) => (text === 'true' ? 'false' : 'true'), 'boolean turned');
    case 'ReturnStatement':
      return node['argument'] ? constant(node, 'return undefined;', 'no result') : [];
    case 'ThrowStatement':
      return constant(node, ';', 'no error');
    case 'ExpressionStatement':
      return constant(node, ';', 'statement left out');
    case 'ArrowFunctionExpression':
      return isBlock(node['body']) ? [] : constant(node['body'], 'undefined', 'no result');
    default:
      return [];
  }
}

const isBlock = (body: unknown): boolean =>
  ['BlockStatement', 'FunctionBody'].includes((body as SyntaxNode | undefined)?.type ?? '');

function operatorChanges(
  node: SyntaxNode,
  source: string,
  placeOf: (child: unknown) => [number, number] | undefined,
): Change[] {
  const [left, right] = [placeOf(node['left']), placeOf(node['right'])];
  const operator = String(node['operator']);
  if (!left || !right) return [];
  const start = source.indexOf(operator, left[1]);
  if (start < 0 || start >= right[0]) return [];
  return (operators[operator] ?? []).map((replacement) => ({
    start,
    end: start + operator.length,
    replacement,
    what: `${operator} → ${replacement}`,
  }));
}
