/** A request that is as costly to handle as the size limits allow. */
export interface Input {
  readonly name: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The limit for all headers together, minus those of every request. */
const HEADER_CHARACTERS = 7_600;
/** The longest path that is not rejected. */
const PATH_CHARACTERS = 2_047;

const repeat = (unit: string, characters: number): string =>
  unit.repeat(Math.floor(characters / unit.length));

const pathOf = (unit: string): string => `/${repeat(unit, PATH_CHARACTERS)}`;

const paths: Readonly<Record<string, string>> = {
  letters: pathOf('a'),
  'heads of JWTs': pathOf('eyJ'),
  'heads of JWTs and dots': pathOf('eyJ.'),
  addresses: pathOf('a@'),
  'encoded addresses': pathOf('a%40'),
  'encoded percent signs': pathOf('%25'),
  'encoded letters and an address': `${pathOf('%E2%82%AC').slice(0, -9)}/a@b`,
  'heads of tokens': pathOf('rt_1_'),
  slashes: pathOf('/'),
  'segments of a route': `/users${pathOf('/a').slice(6)}`,
  'a query of many names': `/?${repeat('a=&', PATH_CHARACTERS)}`,
  'a query of escapes': `/?${repeat('%41', PATH_CHARACTERS)}`,
  'a path that is rejected as too long': `/${repeat('a', HEADER_CHARACTERS)}`,
};

const headers: readonly (readonly [name: string, header: string, value: string, path?: string])[] =
  [
    ['many addresses', 'X-Forwarded-For', repeat('1.1.1.1,', HEADER_CHARACTERS)],
    ['many short ones', 'X-Forwarded-For', repeat('1,', HEADER_CHARACTERS)],
    ['brackets', 'X-Forwarded-For', repeat('[', HEADER_CHARACTERS)],
    ['digits', 'X-Forwarded-For', repeat('1', HEADER_CHARACTERS)],
    ['letters', 'Authorization', `Bearer ${repeat('a', HEADER_CHARACTERS)}`, '/auth/me'],
    ['dots', 'Authorization', `Bearer ${repeat('a.', HEADER_CHARACTERS)}`, '/auth/me'],
    ['a long JWT', 'Authorization', `Bearer e30.${repeat('a', HEADER_CHARACTERS)}.a`, '/auth/me'],
    ['spaces', 'Authorization', `Bearer${repeat(' ', HEADER_CHARACTERS)}a`, '/auth/me'],
    ['letters', 'User-Agent', repeat('a', HEADER_CHARACTERS)],
    ['digits', 'traceparent', `00-${repeat('0', HEADER_CHARACTERS)}`],
    ['many', 'Cookie', repeat('a=b; ', HEADER_CHARACTERS)],
    ['many types', 'Accept', repeat('a/b,', HEADER_CHARACTERS), '/'],
    ['types that fit', 'Accept', repeat('*/*,', HEADER_CHARACTERS), '/'],
    ['parameters', 'Accept', `text/html${repeat(';a=b', HEADER_CHARACTERS)}`, '/'],
    ['commas in a quoted text', 'Accept', `a/b;x="${repeat(',', HEADER_CHARACTERS)}`, '/'],
    ['quotes', 'Accept', repeat('",', HEADER_CHARACTERS), '/'],
    ['spaces', 'Accept', `a/b;${repeat(' ', HEADER_CHARACTERS)}x`, '/'],
    ['letters', 'X-Request-Id', repeat('a', HEADER_CHARACTERS)],
    ['spaces', 'Content-Type', `application/json;${repeat(' ', HEADER_CHARACTERS)}x`],
    ['many', 'If-None-Match', repeat('"a",', HEADER_CHARACTERS), '/apidocs/'],
    ['many', 'Range', `bytes=${repeat('0-1,', HEADER_CHARACTERS)}`, '/apidocs/'],
    ['letters', 'Host', repeat('a', HEADER_CHARACTERS)],
  ];

/** The cheapest common request, as a baseline. */
export const ordinary: Input = { name: 'an ordinary 404', path: '/favicon.ico', headers: {} };

/** The worst cases that we know of, by kind of path and of header. */
export const inputs: readonly Input[] = [
  ...Object.entries(paths).map(([name, path]) => ({ name: `path: ${name}`, path, headers: {} })),
  ...headers.map(([name, header, value, path = '/nothing']) => ({
    name: `${header}: ${name}`,
    path,
    headers: { [header]: value },
  })),
  {
    name: 'as many headers as there may be',
    path: '/nothing',
    headers: Object.fromEntries(Array.from({ length: 90 }, (_, i) => [`x-${i}`, 'a'])),
  },
];
