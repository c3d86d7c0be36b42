import { assumed } from './assumptions.js';

/** Fewest and most instances. */
export interface Limits {
  readonly min: number;
  readonly max: number;
}

/** A number of instances that follows a metric by target tracking, as EC2 Auto Scaling does it. */
export interface AutoScalingGroup {
  readonly limits: Limits;
  /** The value per instance that is aimed at. */
  readonly target: number;
  /** The seconds at which the instances were launched, oldest first. */
  readonly launches: number[];
  /** Values on their way to the alarms. */
  readonly published: Value[];
  /** Values that the alarms have seen, the newest last. */
  readonly seen: Value[];
  readonly startSeconds: number;
  /** How often instances were added, and removed. */
  added: number;
  removed: number;
  /** The most at a time. */
  peak: number;
}

interface Value {
  readonly at: number;
  /** Of the whole group. */
  readonly sum: number;
  /** Instances in service, by which the sum is divided. */
  readonly inService: number;
  /** No instance is to be removed, whatever the value. */
  readonly isHeld: boolean;
}

const IN_SERVICE_AFTER_SECONDS = assumed('until an instance is in service');
const DELAY_SECONDS = assumed('delay of a value');
const VALUES_TO_ADD = assumed('values above the target until instances are added');
const VALUES_TO_REMOVE = assumed('values below it until instances are removed');
const LOW_SHARE = assumed('share of the target that these are below');
const DAY_SECONDS = 86_400;

/** A group with the fewest instances, which have been running for long. */
export function createGroup(
  limits: Limits,
  target: number,
  startSeconds: number,
): AutoScalingGroup {
  return {
    limits,
    target,
    launches: Array.from({ length: limits.min }, () => -DAY_SECONDS),
    published: [],
    seen: [],
    startSeconds,
    added: 0,
    removed: 0,
    peak: limits.min,
  };
}

/** How many instances exist, and cost money. */
export const instances = ({ launches }: AutoScalingGroup): number => launches.length;

/** How many instances work. */
export const working = (group: AutoScalingGroup, second: number): number =>
  launchedBefore(group, second - group.startSeconds);

/** How many instances the group's own metric counts, whether they work already or not. */
const inService = (group: AutoScalingGroup, second: number): number =>
  launchedBefore(group, second - IN_SERVICE_AFTER_SECONDS);

/** The oldest come first. */
function launchedBefore({ launches }: AutoScalingGroup, second: number): number {
  let count = 0;
  while ((launches[count] ?? Infinity) <= second) count += 1;
  return count;
}

/** Publishes the metric of this second, as a sum over the group. */
export function publish(
  group: AutoScalingGroup,
  second: number,
  { sum, isHeld }: Pick<Value, 'sum' | 'isHeld'>,
): void {
  group.published.push({ at: second, sum, inService: inService(group, second), isHeld });
}

/** Lets the alarms see what has arrived by now, and starts or removes instances. */
export function evaluate(group: AutoScalingGroup, second: number): void {
  let hasNew = false;
  while ((group.published[0]?.at ?? Infinity) + DELAY_SECONDS <= second) {
    const value = group.published.shift();
    if (value) group.seen.push(value);
    hasNew = true;
  }
  if (!hasNew) return;
  group.seen.splice(0, group.seen.length - VALUES_TO_REMOVE);
  const wanted = Math.min(
    Math.max(wantedInstances(group, second), group.limits.min),
    group.limits.max,
  );
  resize(group, second, wanted);
}

function wantedInstances(group: AutoScalingGroup, second: number): number {
  const { target, seen } = group;
  const current = instances(group);
  const newest = seen.at(-1);
  if (!newest) return current;
  const loads = seen.map(loadOf(target));
  const proportional = Math.ceil(((loads.at(-1) ?? 0) * newest.inService) / target);
  const recent = loads.slice(-VALUES_TO_ADD);
  if (recent.length === VALUES_TO_ADD) {
    // Those that start already count.
    if (recent.every((load) => load > target)) return Math.max(current, proportional);
  }
  const isStarting = working(group, second) < current;
  const threshold = target * LOW_SHARE;
  const isLow = loads.length === VALUES_TO_REMOVE && loads.every((load) => load < threshold);
  return isLow && !isStarting ? Math.min(current, proportional) : current;
}

const loadOf =
  (target: number) =>
  ({ sum, inService: count, isHeld }: Value): number => {
    const load = sum / Math.max(count, 1);
    return isHeld ? Math.max(load, target) : load;
  };

function resize(group: AutoScalingGroup, second: number, wanted: number): void {
  const current = instances(group);
  if (wanted > current) {
    for (let i = current; i < wanted; i += 1) group.launches.push(second);
    group.added += 1;
  } else if (wanted < current) {
    // The newest cost nothing to lose; what they had in progress is drained.
    group.launches.length = wanted;
    group.removed += 1;
  }
  group.peak = Math.max(group.peak, wanted);
}
