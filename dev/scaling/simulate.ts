import { assumed, linesPerWorker, mailsPerWorker } from './assumptions.js';
import {
  createGroup,
  evaluate,
  instances,
  publish,
  working,
  type AutoScalingGroup,
} from './auto-scaling-group.js';
import type { Observation, Policy } from './policies.js';
import type { Scenario } from './scenarios.js';
import {
  createWaitingLine,
  join,
  oldestWait,
  serve,
  summarizeWaits,
  type Waits,
  type WaitingLine,
} from './waiting-line.js';

/** How things stood at one moment. */
export interface Moment {
  readonly second: number;
  readonly backlog: number;
  readonly instances: number;
  /** How long the oldest has waited, in seconds. */
  readonly oldestWait: number;
  /** Dollars so far. */
  readonly cost: number;
}

/** What came of a policy in a scenario. */
export interface Run {
  readonly scenario: Scenario;
  readonly policy: Policy;
  readonly moments: readonly Moment[];
  readonly waits: Waits;
  readonly instanceHours: number;
  readonly cost: number;
  readonly peak: number;
  /** How often instances were added, and removed. */
  readonly added: number;
  readonly removed: number;
}

interface World {
  readonly scenario: Scenario;
  readonly group: AutoScalingGroup;
  readonly mails: Flow;
  readonly lines: Flow;
  readonly mailsPerWorker: number;
  /** Mails by the minute, for the quota of 24 hours. */
  readonly sentByMinute: number[];
  sentInDay: number;
  upAgainAt: number;
  cpuSeconds: number;
}

/** One kind of work on its way. */
interface Flow {
  readonly line: WaitingLine;
  /** Parts of one that have come, and that could have been served. */
  restCame: number;
  restServed: number;
  /** Within the current interval of the metric. */
  done: number;
  wasHeld: boolean;
}

const MINUTE = 60;
const DAY_MINUTES = 1_440;
const MAIL_CPU_SECONDS = assumed('CPU of a mail');
const LINE_CPU_SECONDS = assumed('CPU of a log line, worker');
const NOTICED_AFTER_SECONDS = assumed('until a mail server that is back is noticed');
const MOMENTS = 288;
const INTERVAL = assumed('interval of the metric');

/** Runs a scenario under a policy, second by second. The same always gives the same. */
export function simulate(
  scenario: Scenario,
  policy: Policy,
  startSeconds: number = assumed('until a new worker works'),
): Run {
  const world = createWorld(scenario, createGroup(scenario.limits, policy.target, startSeconds));
  const { group } = world;
  const { line } = world[scenario.subject];
  const every = Math.max(1, Math.floor(scenario.seconds / MOMENTS));
  const moments: Moment[] = [];
  let instanceSeconds = 0;
  for (let second = 0; second < scenario.seconds; second += 1) {
    work(world, second);
    if ((second + 1) % INTERVAL === 0) publish(group, second, policy.measure(endInterval(world)));
    evaluate(group, second);
    instanceSeconds += instances(group);
    if (second % every === 0)
      moments.push({
        second,
        backlog: line.length,
        instances: instances(group),
        oldestWait: oldestWait(line, second),
        cost: costOf(instanceSeconds),
      });
  }
  return {
    scenario,
    policy,
    moments,
    waits: summarizeWaits(line, scenario.seconds),
    instanceHours: instanceSeconds / 3_600,
    cost: costOf(instanceSeconds),
    peak: group.peak,
    added: group.added,
    removed: group.removed,
  };
}

const costOf = (instanceSeconds: number): number =>
  (instanceSeconds / 3_600) * assumed('price of an instance');

function createWorld(scenario: Scenario, group: AutoScalingGroup): World {
  const flow = (): Flow => ({
    line: createWaitingLine(scenario.seconds),
    restCame: 0,
    restServed: 0,
    done: 0,
    wasHeld: false,
  });
  return {
    scenario,
    group,
    mails: flow(),
    lines: flow(),
    mailsPerWorker: mailsPerWorker(scenario.sesPerSecond),
    sentByMinute: [],
    sentInDay: 0,
    upAgainAt: 0,
    cpuSeconds: 0,
  };
}

/** One second of all workers: first the mails, then the lines with the CPU that is left. */
function work(world: World, second: number): void {
  const { scenario, group, mails, lines } = world;
  const workers = working(group, second);
  arrive(mails, second, scenario.mailsPerSecond(second));
  arrive(lines, second, scenario.linesPerSecond(second));

  const isDown = isSmtpDown(world, second);
  const quotaLeft = scenario.dailyQuota - world.sentInDay;
  mails.wasHeld ||= isDown || quotaLeft <= 0;
  const byWorkers = workers * world.mailsPerWorker;
  const sent = finish(
    mails,
    second,
    isDown ? 0 : Math.min(byWorkers, scenario.sesPerSecond),
    quotaLeft,
  );
  countSent(world, second, sent);

  const cpuLeft = Math.max(workers - sent * MAIL_CPU_SECONDS, 0);
  const { firehoseLinesPerSecond } = scenario;
  const possible = cpuLeft / LINE_CPU_SECONDS;
  lines.wasHeld ||= lines.line.length > firehoseLinesPerSecond && possible > firehoseLinesPerSecond;
  const shipped = finish(lines, second, Math.min(possible, firehoseLinesPerSecond), Infinity);
  world.cpuSeconds += sent * MAIL_CPU_SECONDS + shipped * LINE_CPU_SECONDS;
}

function arrive(flow: Flow, second: number, perSecond: number): void {
  const came = perSecond + flow.restCame;
  join(flow.line, second, Math.floor(came));
  flow.restCame = came - Math.floor(came);
}

function finish(flow: Flow, second: number, perSecond: number, atMost: number): number {
  const capacity = perSecond + flow.restServed;
  const done = Math.min(Math.floor(capacity), flow.line.length, atMost);
  flow.restServed = capacity - Math.floor(capacity);
  serve(flow.line, second, done);
  flow.done += done;
  return done;
}

/** The outage, and the seconds until the circuit breaker's next probe finds that it is over. */
function isSmtpDown(world: World, second: number): boolean {
  const isDown = world.scenario.isSmtpDown(second);
  if (isDown) world.upAgainAt = second + NOTICED_AFTER_SECONDS;
  return isDown || second < world.upAgainAt;
}

function countSent(world: World, second: number, sent: number): void {
  const minute = Math.floor(second / MINUTE);
  if (second % MINUTE === 0) world.sentInDay -= world.sentByMinute[minute - DAY_MINUTES] ?? 0;
  world.sentByMinute[minute] = (world.sentByMinute[minute] ?? 0) + sent;
  world.sentInDay += sent;
}

/** What the workers report of the interval that ends now. */
function endInterval(world: World): Observation {
  const { scenario, mails, lines } = world;
  const cpu = world.cpuSeconds / INTERVAL / assumed('vCPUs of an instance');
  world.cpuSeconds = 0;
  return {
    mails: factsOf(mails, scenario.sesPerSecond, world.mailsPerWorker),
    // Nobody knows what Firehose would take; it says so only by throttling.
    lines: factsOf(lines, Infinity, linesPerWorker()),
    cpu,
  };
}

function factsOf(flow: Flow, limitPerSecond: number, workerPerSecond: number) {
  const { done, wasHeld, line } = flow;
  flow.done = 0;
  flow.wasHeld = false;
  return {
    waiting: line.length,
    donePerSecond: done / INTERVAL,
    limitPerSecond,
    workerPerSecond,
    isHeld: wasHeld,
  };
}
