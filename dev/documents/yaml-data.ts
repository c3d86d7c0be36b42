import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import * as z from 'zod';

const FailureMatrix = z.array(
  z.strictObject({
    event: z.string(),
    outcome: z.string(),
    tests: z.array(z.strictObject({ file: z.string(), title: z.string() })).min(1),
  }),
);

const SecurityRequirement = z.strictObject({
  requirement: z.string(),
  sources: z.string(),
  toCome: z.string().optional(),
  doesNotApply: z.string().optional(),
});

const AsvsChapters = z.array(
  z.strictObject({ chapter: z.int(), title: z.string(), here: z.string() }),
);

const PersonalData = z.array(
  z.strictObject({ data: z.string(), where: z.string(), until: z.string(), why: z.string() }),
);

/** A requirement that the service must meet. */
export type SecurityRequirement = z.output<typeof SecurityRequirement>;

/** Failures, their outcomes, and the tests that prove them: `failure-matrix.yaml`. */
export const readFailureMatrix = () => read('failure-matrix.yaml', FailureMatrix);

/** The security requirements by id: `security-requirements.yaml`. */
export const readSecurityRequirements = () =>
  read('security-requirements.yaml', z.record(z.string().regex(/^S\d\d$/), SecurityRequirement));

/** The chapters of ASVS and what Rollcall implements of them: `asvs-chapters.yaml`. */
export const readAsvsChapters = () => read('asvs-chapters.yaml', AsvsChapters);

/** Where personal data is, until when, and why: `personal-data.yaml`. */
export const readPersonalData = () => read('personal-data.yaml', PersonalData);

/** The YAML files are beside the sources; this module is compiled to dist/. */
const folder = new URL('../../../dev/documents/', import.meta.url);

/** @throws an error that names the file and each wrong value by its path. */
async function read<S extends z.ZodType>(file: string, schema: S): Promise<z.output<S>> {
  const result = schema.safeParse(parse(await readFile(new URL(file, folder), 'utf8')));
  if (result.success) return result.data;
  throw new Error(`dev/documents/${file}:\n${z.prettifyError(result.error)}`);
}
