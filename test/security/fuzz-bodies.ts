import fc from 'fast-check';
import type { OpenApiDocument } from '../helpers/openapi.js';
import { brokenBodies } from '../helpers/samples.js';
import {
  deref,
  encode,
  good,
  headerText,
  hostileText,
  hostileValue,
  mostly,
  type Schema,
} from './fuzz-values.js';

/** What a request carries, and what it says that it is. */
export interface Body {
  readonly headers: Readonly<Record<string, string>>;
  readonly content: string | Uint8Array;
}

const JSON_TYPE = { 'content-type': 'application/json' };
export const anyBody: fc.Arbitrary<Body> = fc.record({
  headers: mostly(
    3,
    fc.constant(JSON_TYPE),
    fc
      .oneof(
        fc.constantFrom(
          'text/plain',
          'application/json; charset=utf-7',
          'application/x-www-form-urlencoded',
          'multipart/form-data; boundary=x',
          '*/*',
          '',
        ),
        headerText,
      )
      .map((type) => ({ 'content-type': type })),
  ),
  content: fc.oneof(
    fc.constantFrom(...Object.values(brokenBodies)),
    fc.json(),
    fc.string({ unit: 'binary', maxLength: 100 }),
    fc.uint8Array({ maxLength: 100 }),
    fc.constantFrom('x'.repeat(5_000), 'x'.repeat(70_000), `{"email":"${'x'.repeat(20_000)}"}`),
  ),
});

export function bodyFor(
  document: OpenApiDocument,
  content: Readonly<Record<string, { readonly schema: Schema }>>,
): fc.Arbitrary<Body> {
  const reference = content['application/json']?.schema.$ref ?? '';
  const schemaName = reference.split('/').at(-1) ?? '';
  const fine = objectOf(document, schemaName, deref(document, { $ref: reference }));
  const inOneField = fc
    .tuple(fine, fc.nat(), hostileValue, fc.option(hostileText, { freq: 3 }))
    .map(([object, position, value, unknownField]) => {
      const names = Object.keys(object);
      const field = unknownField ?? names[position % Math.max(names.length, 1)] ?? 'x';
      return JSON.stringify(Object.fromEntries([...Object.entries(object), [field, value]]));
    });
  const withoutOne = fc.tuple(fine, fc.nat()).map(([object, position]) => {
    const entries = Object.entries(object);
    return JSON.stringify(
      Object.fromEntries(entries.toSpliced(position % Math.max(entries.length, 1), 1)),
    );
  });
  const cut = fc.tuple(fine, fc.nat()).map(([object, position]) => {
    const text = JSON.stringify(object);
    return text.slice(0, position % text.length);
  });
  const json = (text: string): Body => ({ headers: JSON_TYPE, content: text });
  const form = fine.map((object): Body => ({
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    content: Object.entries(object)
      .map(([key, value]) => `${key}=${encode(String(value))}`)
      .join('&'),
  }));
  return fc.oneof(
    { weight: 8, arbitrary: fine.map((object) => json(JSON.stringify(object))) },
    { weight: 6, arbitrary: inOneField.map(json) },
    { weight: 1, arbitrary: withoutOne.map(json) },
    { weight: 1, arbitrary: cut.map(json) },
    { weight: 1, arbitrary: form },
    { weight: 2, arbitrary: anyBody },
  );
}

function objectOf(
  document: OpenApiDocument,
  schemaName: string,
  { properties = {}, required = [] }: Schema,
): fc.Arbitrary<Record<string, unknown>> {
  const fields = Object.entries(properties).map(
    ([name, schema]) => [name, good(document, schemaName, { name, schema })] as const,
  );
  return fc.record(Object.fromEntries(fields), { requiredKeys: [...required] });
}
