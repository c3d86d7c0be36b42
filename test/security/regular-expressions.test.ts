import test from 'ava';
import { patternOf } from '../../api/http/documented-paths.js';
import { readOpenApiDocument } from '../../api/openapi/docs.routes.js';
import { findExpressions, slowness } from './regular-expressions.js';

/** What runs as a service, or reads what one has written. */
const folders = ['api', 'workers', 'shared', 'migrations', 'cli', 'dev/emulators/firehose'];
const found = findExpressions(folders);

test('S81 no text makes any regular expression slow, wherever it stands', async (t) => {
  const { files, literals } = await found;
  t.true(files > 150 && literals.length > 70, `${literals.length} in ${files} files`);
  const distinct = new Map(literals.map((each) => [`/${each.source}/${each.flags}`, each]));
  for (const { file, source, flags } of distinct.values())
    t.is(await slowness({ source, flags }), undefined, `${file}: /${source}/${flags}`);
});

test('S81 no regular expression is made of a text but those of the documented paths', async (t) => {
  const { builtIn } = await found;
  t.deepEqual(builtIn, ['api/http/documented-paths.ts']);
  const templates = Object.keys(readOpenApiDocument().paths);
  t.true(templates.length > 10);
  for (const template of templates) t.is(await slowness(patternOf(template)), undefined, template);
});

test('S81 one that can be made slow is found, whether it backtracks or only begins again', async (t) => {
  for (const expression of [
    /^(?:a+)+$/,
    /^(?:a|aa)+$/,
    /\s+$/,
    /[\w.-]+@[\w.-]+/g,
    /eyJ[\w-]+\.[\w-]+\.[\w-]+/g,
    /(?:a{1,200}b?)+c/,
    /(?<![b-z])[a-z]+@/u,
  ])
    t.regex((await slowness(expression)) ?? '', /polynomial|exponential/, String(expression));
});

test('S81 one that cannot be read counts as slow', async (t) => {
  t.regex((await slowness({ source: String.raw`[\p{L}--[a-z]]x`, flags: 'v' })) ?? '', /not dec/);
});
