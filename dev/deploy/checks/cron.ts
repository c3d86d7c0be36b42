import { parse } from 'yaml';
import { isTaskName } from '../../../shared/tasks/catalogue.js';
import { recordOf } from './config-files.js';
import type { DeployFinding } from './finding.js';

/** Each field of a cron expression: its range. */
const fields = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7],
] as const;

/** The file of periodic tasks: using-features-managing-env-tiers.html#worker-periodictasks. */
export function checkCron(where: string, text: string): DeployFinding[] {
  let content: Readonly<Record<string, unknown>>;
  try {
    content = recordOf(parse(text));
  } catch (error) {
    return [{ where, problem: String(error) }];
  }
  const entries = Array.isArray(content['cron']) ? content['cron'].map(recordOf) : [];
  const problems: string[] = [];
  if (content['version'] !== 1) problems.push('version must be 1');
  if (entries.length === 0) problems.push('schedules nothing');
  const names = new Set<unknown>();
  for (const { name, url, schedule, ...others } of entries) {
    const called = String(name);
    if (typeof name !== 'string' || names.has(name))
      problems.push(`${called}: names must be unique`);
    names.add(name);
    const task = /^\/tasks\/([a-z-]+)$/.exec(String(url))?.[1] ?? '';
    if (!isTaskName(task)) problems.push(`${called}: the worker answers no ${String(url)}`);
    if (!isSchedule(String(schedule)))
      problems.push(`${called}: ${String(schedule)} is no cron expression`);
    if (Object.keys(others).length > 0)
      problems.push(`${called}: unknown ${Object.keys(others).join()}`);
  }
  return problems.map((problem) => ({ where, problem }));
}

/** Five fields of numbers, ranges, lists and steps. */
function isSchedule(text: string): boolean {
  const parts = text.split(' ');
  return (
    parts.length === fields.length && parts.every((part, i) => isField(part, fields[i] ?? [0, 0]))
  );
}

const isField = (text: string, [min, max]: readonly [number, number]): boolean =>
  text.split(',').every((item) => {
    const [, from, to = from, step = '1'] =
      /^(\d{1,2}|\*)(?:-(\d{1,2}))?(?:\/(\d{1,2}))?$/.exec(item) ?? [];
    if (from === undefined || Number(step) < 1) return false;
    if (from === '*') return !item.includes('-');
    return (
      [from, to].every((value) => Number(value) >= min && Number(value) <= max) &&
      Number(from) <= Number(to)
    );
  });
