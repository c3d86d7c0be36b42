interface RequestBody {
  readonly content: Record<
    string,
    { readonly schema: { readonly $ref?: string }; example?: unknown }
  >;
}

interface FieldSchema {
  readonly examples?: readonly unknown[];
  readonly anyOf?: readonly FieldSchema[];
}

interface ObjectSchema {
  readonly properties?: Readonly<Record<string, FieldSchema>>;
  readonly required?: readonly string[];
}

/** Requests without an example, so that all fields are proposed: there is nothing yet that they could change. */
const WHOLE = new Set(['CreateUserRequest']);
/** Proposed where no field is required: the least harmful change. */
const LEAST_CHANGE = ['name'];
const SCHEMA = /^#\/components\/schemas\/(\w+)$/;

/**
 * Sets the example that Swagger UI's "Try it out" proposes. By default it would propose every field: sent unchanged, that
 * would rename an admin who only confirms an address, or move an account to the example's address. An example in the
 * route's comment is kept.
 */
export function addRequestExample(body: unknown, schemas: Readonly<Record<string, unknown>>): void {
  for (const media of Object.values((body as RequestBody | undefined)?.content ?? {})) {
    const name = SCHEMA.exec(media.schema.$ref ?? '')?.[1] ?? '';
    const schema = schemas[name] as ObjectSchema | undefined;
    if (schema && !WHOLE.has(name)) media.example ??= exampleOf(schema);
  }
}

function exampleOf({ properties = {}, required = LEAST_CHANGE }: ObjectSchema): object {
  const fields = required.map((field) => {
    const { examples, anyOf } = properties[field] ?? {};
    return [field, (examples ?? anyOf?.[0]?.examples)?.[0] ?? field.toUpperCase()];
  });
  return Object.fromEntries(fields) as object;
}
