import { readdir } from 'node:fs/promises';
import * as z from 'zod';
import { DEFAULT_PASSWORD_MIN_LENGTH } from '../../shared/config/variables.js';
import { Problem } from './problems.js';

const api = new URL('../', import.meta.url);
/** Exports that are parts of requests, and documented as parameters. */
const NOT_COMPONENTS = /(?:Input|Query)$/;

/**
 * The document's schemas: what the `*.schemas.ts` files of all features export under a capital letter or, for requests
 * that depend on the configured password length, as a function. Requests are described as they are sent, answers as they
 * arrive.
 */
export async function componentSchemas(): Promise<Record<string, unknown>> {
  const requests: Record<string, z.ZodType> = {};
  const answers: Record<string, z.ZodType> = { Problem };
  for (const [name, value] of await exportsOfSchemaFiles()) {
    if (name in requests || name in answers)
      throw new Error(`Two files export a schema of the name ${name}`);
    if (typeof value === 'function' && name.endsWith('Request'))
      requests[capitalized(name)] = (value as (minLength: number) => z.ZodType)(
        DEFAULT_PASSWORD_MIN_LENGTH,
      );
    if (!(value instanceof z.ZodType) || !/^[A-Z]/.test(name) || NOT_COMPONENTS.test(name))
      continue;
    if (name.endsWith('Request')) requests[name] = value;
    else answers[name] = value;
  }
  const all = { ...toJsonSchemas(requests, 'input'), ...toJsonSchemas(answers, 'output') };
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
      // zod spells formats out as long regular expressions; the format says it better.
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
