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

/** One thing that the service must do or withstand. */
export type SecurityRequirement = z.output<typeof SecurityRequirement>;

/** What can fail, and the tests that show what becomes of it: `failure-matrix.yaml`. */
export const readFailureMatrix = (): Promise<z.output<typeof FailureMatrix>> =>
  read('failure-matrix.yaml', FailureMatrix);

/** What the service must withstand, by id: `security-requirements.yaml`. */
export const readSecurityRequirements = (): Promise<Record<string, SecurityRequirement>> =>
  read('security-requirements.yaml', z.record(z.string().regex(/^S\d\d$/), SecurityRequirement));

/** The compiled programs lie below dist/, the records beside the sources. */
const folder = new URL('../../../dev/documents/', import.meta.url);

async function read<S extends z.ZodType>(file: string, schema: S): Promise<z.output<S>> {
  return schema.parse(parse(await readFile(new URL(file, folder), 'utf8')));
}
