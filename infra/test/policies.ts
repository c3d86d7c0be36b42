/** A policy document of a template, with its references resolved. */
interface Policy {
  readonly Statement: readonly {
    readonly Effect: 'Allow' | 'Deny';
    readonly Principal: '*' | { readonly Service?: string | readonly string[] };
    readonly Action: string | readonly string[];
    readonly Condition?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  }[];
}

/** What a service asks for, and the condition keys that it sends with the request. */
export interface ServiceRequest {
  readonly service: string;
  readonly action: string;
  readonly keys: Readonly<Record<string, string>>;
}

/** A template's value with `Ref` and `Fn::Join` resolved: a resource is its logical name, an account `ACCOUNT`. */
export function resolved(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(resolved);
  if (typeof value !== 'object' || value === null) return value;
  const { Ref: ref, 'Fn::Join': join } = value as Record<string, unknown>;
  if (typeof ref === 'string')
    return { 'AWS::AccountId': 'ACCOUNT', 'AWS::Partition': 'aws' }[ref] ?? ref;
  if (join !== undefined) {
    const [separator, parts] = resolved(join) as [string, string[]];
    return parts.join(separator);
  }
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, resolved(part)]));
}

/** Whether a resource's policy lets a service do something. A condition on a key that is not sent is not met. */
export function allows(policy: unknown, { service, action, keys }: ServiceRequest): boolean {
  const effects = (resolved(policy) as Policy).Statement.filter(
    ({ Principal, Action, Condition = {} }) =>
      (Principal === '*' || [Principal.Service].flat().includes(service)) &&
      [Action].flat().some((pattern) => isLike(action, pattern)) &&
      Object.entries(Condition).every(([operator, wanted]) =>
        Object.entries(wanted).every(([key, pattern]) => isMet(operator, keys[key], pattern)),
      ),
  ).map(({ Effect }) => Effect);
  return effects.includes('Allow') && !effects.includes('Deny');
}

function isMet(operator: string, given: string | undefined, pattern: string): boolean {
  switch (operator) {
    case 'Bool':
    case 'StringEquals':
      return given === pattern;
    case 'ArnLike':
      return given !== undefined && isLike(given, pattern);
    default:
      throw new Error(`add the condition operator ${operator} to this test`);
  }
}

/** Patterns here have their `*` at the end. */
const isLike = (text: string, pattern: string): boolean =>
  pattern.endsWith('*') ? text.startsWith(pattern.slice(0, -1)) : text === pattern;
