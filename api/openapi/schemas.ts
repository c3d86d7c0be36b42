import { readdir } from 'node:fs/promises';
import * as z from 'zod';
import { DEFAULT_PASSWORD_MIN_LENGTH } from '../../shared/config/variables.js';
import { Problem } from './components.js';

const api = new URL('../', import.meta.url);
/** Parts of requests, and queries, which are documented as parameters. */
const NOT_COMPONENTS = /(?:Input|Query)$/;

/**
 * The document's schemas: all zod types that `*.schemas.ts` files export with a capital first letter and, for requests that
 * depend on the configured password length, functions named `…Request`. Requests are described as the client sends them,
 * responses as the client receives them.
 */
export async function componentSchemas(): Promise<Record<string, unknown>> {
  const requests: Record<string, z.ZodType> = {};
  const responses: Record<string, z.ZodType> = { Problem };
  for (const [name, value] of await exportsOfSchemaFiles()) {
    if (name in requests || name in responses)
      throw new Error(`Two files export a schema named ${name}`);
    if (typeof value === 'function' && name.endsWith('Request'))
      requests[capitalized(name)] = (value as (minLength: number) => z.ZodType)(
        DEFAULT_PASSWORD_MIN_LENGTH,
      );
    if (!(value instanceof z.ZodType) || !/^[A-Z]/.test(name) || NOT_COMPONENTS.test(name))
      continue;
    if (name.endsWith('Request')) requests[name] = value;
    else responses[name] = value;
  }
  const all = { ...toJsonSchemas(requests, 'input'), ...toJsonSchemas(responses, 'output') };
  return Object.fromEntries(Object.entries(all).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

async function exportsOfSchemaFiles(): Promise<[name: string, value: unknown][]> {
  const files = (await readdir(api, { recursive: true })).filter((name) =>
    name.endsWith('.schemas.js'),
  );
  const modules = await Promise.all(
    files.map((file) => import(new URL(file, api).href) as Promise<Record<string, unknown>>),
  );
  return modules.flatMap((exported) => Object.entries(exported));
}

const capitalized = (name: string): string => `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`;

function toJsonSchemas(
  named: Readonly<Record<string, z.ZodType>>,
  io: 'input' | 'output',
): Record<string, unknown> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(named)) registry.add(schema, { id });
  const { schemas: built } = z.toJSONSchema(registry, {
    io,
    target: 'draft-2020-12',
    unrepresentable: 'any',
    uri: (id) => `#/components/schemas/${id}`,
    override: ({ jsonSchema }) => {
      // zod adds a long regular expression to each format; the format is enough.
      if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
    },
  });
  return Object.fromEntries(
    Object.entries(built).map(([id, schema]) => {
      const { $schema: _dialect, $id: _id, ...rest } = schema as Record<string, unknown>;
      return [id, rest];
    }),
  );
}
