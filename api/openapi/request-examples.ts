/** A request's body in the document. */
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

/** The optional fields of these may be proposed: there is nothing yet that they could change. */
const WHOLE = new Set(['CreateUserRequest']);
/** What is proposed where no field is required: the change that does least. */
const LEAST_CHANGE = ['name'];
const SCHEMA = /^#\/components\/schemas\/(\w+)$/;

/**
 * Gives a body the example that Swagger UI's "Try it out" proposes. By itself it would propose every field: sent as it
 * is, that would rename who only confirms an address, or move an account to the example's address.
 * An example that the route's comment gives stays.
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
