import { parseDocument } from 'yaml';
import type { ArchiveFile } from '../zip.js';
import type { DeployFinding } from './finding.js';
import type { OptionSetting } from './options.js';

/** A CloudFormation resource as a configuration file has it. */
export interface ResourceOverride {
  readonly where: string;
  readonly name: string;
  readonly definition: Readonly<Record<string, unknown>>;
}

/** What all configuration files of a bundle say. */
export interface Configuration {
  readonly findings: readonly DeployFinding[];
  readonly settings: readonly OptionSetting[];
  readonly resources: readonly ResourceOverride[];
}

/** ebextensions.html. We use the first two alone: hooks do what the others do, and can be checked by shellcheck. */
const USED_KEYS = ['option_settings', 'Resources'];
const FOLDER = '.ebextensions/';

/** Reads the configuration files in the order in which Elastic Beanstalk does, which ignores any that it does not expect. */
export function readConfiguration(files: readonly ArchiveFile[]): Configuration {
  const own = files
    .filter(({ path }) => path.startsWith(FOLDER))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const read = own.map(({ path, data }) => readFile(path, data.toString()));
  return {
    findings: read.flatMap(({ findings }) => findings),
    settings: read.flatMap(({ settings }) => settings),
    resources: read.flatMap(({ resources }) => resources),
  };
}

function readFile(where: string, text: string): Configuration {
  const nothing = { settings: [], resources: [] };
  const fault = (problem: string): Configuration => ({
    ...nothing,
    findings: [{ where, problem }],
  });
  if (where.slice(FOLDER.length).includes('/') || !where.endsWith('.config'))
    return fault('Elastic Beanstalk reads only *.config right in .ebextensions');
  if (text.includes('\t')) return fault('holds a tab');
  const document = parseDocument(text);
  const [error] = [...document.errors, ...document.warnings];
  if (error) return fault(error.message);
  const content = document.toJS() as unknown;
  if (!isRecord(content)) return fault('is no mapping');
  const unknown = Object.keys(content).filter((key) => !USED_KEYS.includes(key));
  return {
    findings: [
      ...unknown.map((key) => ({ where, problem: `the key ${key} is not known here` })),
      ...shapes(where, content),
    ],
    settings: settingsOf(where, content['option_settings']),
    resources: Object.entries(recordOf(content['Resources'])).map(([name, definition]) => ({
      where,
      name,
      definition: recordOf(definition),
    })),
  };
}

function shapes(where: string, content: Readonly<Record<string, unknown>>): DeployFinding[] {
  return USED_KEYS.filter((key) => key in content && !isRecord(content[key])).map((key) => ({
    where,
    problem: `${key} must be a mapping`,
  }));
}

function settingsOf(where: string, content: unknown): OptionSetting[] {
  return Object.entries(recordOf(content)).flatMap(([namespace, options]) =>
    Object.entries(recordOf(options)).map(([name, value]) => ({ where, namespace, name, value })),
  );
}

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const recordOf = (value: unknown): Readonly<Record<string, unknown>> =>
  isRecord(value) ? value : {};
