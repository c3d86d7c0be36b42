import { setTimeout as delay } from 'node:timers/promises';
import {
  ConfigError,
  loadApiConfig,
  loadQueueToolConfig,
  loadWorkerConfig,
  type Environment,
} from '../../shared/config/config.js';
import { findMistakenNames } from '../../shared/config/mistaken-names.js';
import { redisInstances } from '../../shared/queues/registry.js';
import { countOf, type Arguments, type Command, type CommandResult } from '../command.js';
import type { DoctorFinding } from '../doctor/checks.js';
import { examineClocks } from '../doctor/examine-clocks.js';
import { examineDatabase } from '../doctor/examine-database.js';
import { examineRedis } from '../doctor/examine-redis.js';
import { examineSpool } from '../doctor/examine-spool.js';

/** Whether all is well. */
export const doctorCommands: readonly Command[] = [
  {
    name: 'doctor',
    options: [
      {
        flags: '--wait <SECONDS>',
        summary: 'check again until all is well, for at most this long; for use after a deployment',
      },
    ],
    summary: 'checks everything that Rollcall depends on, and says what to do',
    run: doctor,
  },
];

const MAX_WAIT_SECONDS = 3_600;
const ASK_EVERY_MS = 2_000;

async function doctor(args: Arguments): Promise<CommandResult> {
  const waitSeconds = countOf(args, 'wait', MAX_WAIT_SECONDS) ?? 0;
  const deadline = performance.now() + waitSeconds * 1_000;
  const signal = args.terminal.interrupted();
  let findings = await examine(args.env);
  while (!areOk(findings) && performance.now() < deadline && !signal.aborted) {
    await delay(ASK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    findings = await examine(args.env);
  }
  return {
    isOk: areOk(findings),
    facts: { checks: findings },
    lines: findings.flatMap(({ check, ok, found, advice }) => {
      const line = `${ok ? 'ok     ' : 'PROBLEM'}  ${check.padEnd(14)}${found}`;
      return advice === undefined ? [line] : [line, `${' '.repeat(23)}${advice}`];
    }),
  };
}

const areOk = (findings: readonly DoctorFinding[]): boolean => findings.every(({ ok }) => ok);

async function examine(env: Environment): Promise<DoctorFinding[]> {
  const config = faultsOf(() => loadQueueToolConfig(env));
  if (config instanceof ConfigError) return [misconfigured(env, faultsIn(config))];
  const [ofDatabase, ...ofRedis] = await Promise.all([
    examineDatabase(config),
    ...redisInstances(config.redis).map((redis) => examineRedis(redis, config.isProduction)),
  ]);
  return [
    examineConfig(env),
    ...ofDatabase.findings,
    ...ofRedis.flatMap(({ findings }) => findings),
    ...(config.spool ? [await examineSpool(config.spool)] : []),
    ...examineClocks(
      [ofDatabase.clock, ...ofRedis.map(({ clock }) => clock)],
      ofDatabase.skewedProcesses,
    ),
  ];
}

function faultsOf<C>(load: () => C): C | ConfigError {
  try {
    return load();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

const misconfigured = (env: Environment, found: string): DoctorFinding => ({
  check: 'configuration',
  ok: false,
  found: [found, ...findWithoutEffect(env)].join('; '),
  advice: 'Set or correct these variables; the README has the table.',
});

function findWithoutEffect(env: Environment): string[] {
  const names = findMistakenNames(env);
  return names.length === 0 ? [] : [`set, and read by nothing: ${names.join(', ')}`];
}

const faultsIn = ({ faults }: ConfigError): string =>
  faults.map(({ variable, problem }) => `${variable} ${problem}`).join('; ');

/** A host may run the API or the worker: one of the two must be able to start with this environment. */
function examineConfig(env: Environment): DoctorFinding {
  const api = faultsOf(() => loadApiConfig(env));
  const worker = faultsOf(() => loadWorkerConfig(env));
  if (api instanceof ConfigError && worker instanceof ConfigError)
    return misconfigured(env, `for the API: ${faultsIn(api)}; for the worker: ${faultsIn(worker)}`);
  const fit = [
    ...(api instanceof ConfigError ? [] : ['the API']),
    ...(worker instanceof ConfigError ? [] : ['the worker']),
  ];
  const complete = `complete for ${fit.join(' and ')}`;
  const withoutEffect = findWithoutEffect(env);
  const found = [complete, ...withoutEffect].join('; ');
  const advice = 'Rename or remove what is read by nothing; the README has the table.';
  return { check: 'configuration', ok: true, found, ...(withoutEffect.length > 0 && { advice }) };
}
