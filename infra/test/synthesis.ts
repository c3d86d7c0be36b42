import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';

/** The folder of the package; this file is compiled to dist/test/. */
export const packageRoot = join(import.meta.dirname, '..', '..');
/** The folder of the product. */
export const projectRoot = join(packageRoot, '..');

/** A finding of cdk-nag or of CloudFormation's own rules. */
export interface Finding {
  readonly rule: string;
  readonly path: string;
  readonly description: string;
}

/** A resource of a template. */
export interface Resource {
  readonly Type: string;
  readonly Properties?: Readonly<Record<string, unknown>>;
}

export interface Synthesis {
  readonly findings: readonly Finding[];
  /** Templates by the name of their stack; none if a finding has failed the synthesis. */
  readonly templates: Readonly<
    Record<string, { readonly Resources: Readonly<Record<string, Resource>> }>
  >;
}

interface Report {
  readonly pluginReports: readonly {
    readonly violations: readonly {
      readonly ruleName: string;
      readonly description: string;
      readonly violatingConstructs: readonly { readonly constructPath?: string }[];
    }[];
  }[];
}

/** Synthesizes what `build` adds, with the flags of cdk.json, under cdk-nag and CloudFormation's rules. */
export function synthesize(build: (app: App) => void): Synthesis {
  const outdir = mkdtempSync(join(tmpdir(), 'rollcall-infra-'));
  after(() => rmSync(outdir, { recursive: true, force: true }));
  const { context } = JSON.parse(readFileSync(join(packageRoot, 'cdk.json'), 'utf8')) as {
    context: Record<string, unknown>;
  };
  const app = new App({ outdir, context, analyticsReporting: false });
  build(app);
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  const assembly = quietly(() => synthesizeOrNot(app));
  const report = JSON.parse(readFileSync(join(outdir, 'validation-report.json'), 'utf8')) as Report;
  return {
    findings: report.pluginReports.flatMap(({ violations }) =>
      violations.flatMap(({ ruleName, description, violatingConstructs }) =>
        violatingConstructs.map(({ constructPath = '' }) => ({
          rule: ruleName,
          path: constructPath,
          description,
        })),
      ),
    ),
    templates: Object.fromEntries(
      (assembly?.stacks ?? []).map(({ stackName, template }) => [stackName, template as never]),
    ),
  };
}

/** Undefined if findings fail it: the report has them. */
function synthesizeOrNot(app: App): ReturnType<App['synth']> | undefined {
  const { exitCode } = process;
  try {
    return app.synth();
  } catch (error) {
    if (!(error instanceof Error && error.name === 'ValidationFailed')) throw error;
    return undefined;
  } finally {
    // A finding makes the CDK set it, and would fail a test that wants to see one.
    process.exitCode = exitCode;
  }
}

/** Without the findings on the console: they are returned. */
function quietly<T>(run: () => T): T {
  const write = process.stderr.write;
  process.stderr.write = () => true;
  try {
    return run();
  } finally {
    process.stderr.write = write;
  }
}
