import { createRandom } from '../random.js';
import { assumed, mailsPerWorker } from './assumptions.js';
import type { Limits } from './auto-scaling-group.js';

/** What arrives, and what the providers take. Times are seconds from the start. */
export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly seconds: number;
  /** `MAIL_RATE`, which is the SES account's. */
  readonly sesPerSecond: number;
  /** Mails that SES takes within 24 hours. */
  readonly dailyQuota: number;
  /** What is shown. */
  readonly subject: 'mails' | 'lines';
  readonly mailsPerSecond: (second: number) => number;
  readonly linesPerSecond: (second: number) => number;
  readonly isSmtpDown: (second: number) => boolean;
  readonly firehoseLinesPerSecond: number;
  readonly limits: Limits;
  /** The time that the scenario is about, for the plot. */
  readonly marked?: { readonly from: number; readonly to: number; readonly what: string };
}

const LINES_PER_MAIL = assumed('log lines of a registration');
const MINUTE = 60;
const HOUR = 3_600;

/** An account that has been raised: more than five workers can make use of it. */
const BIG_ACCOUNT = { sesPerSecond: 300, dailyQuota: 20_000_000 } as const;
/** As SES gives it at first in production. */
const FIRST_ACCOUNT = { sesPerSecond: 14, dailyQuota: 50_000 } as const;

/** As many as can use the whole SES rate, and one in addition in case that one is lost. */
const mostWorkers = (sesPerSecond: number): number =>
  Math.ceil(sesPerSecond / mailsPerWorker(sesPerSecond)) + 1;

/** Mails per second at each hour of a working day; between the hours it changes evenly. */
const DAY = [
  12, 8, 6, 5, 5, 8, 18, 45, 105, 165, 180, 172, 140, 158, 176, 168, 150, 122, 95, 78, 66, 52, 34,
  20,
];
/** How far a minute may be from that, up or down. */
const NOISE = 0.15;
/** For a while half as much again as usual. */
const CAMPAIGN = { from: 15 * HOUR, seconds: 20 * MINUTE, factor: 1.5 } as const;
/** From one minute to the next, when the fewest workers run, more than they can do. */
const NIGHT = { from: 3 * HOUR, seconds: 20 * MINUTE, perSecond: 150 } as const;

/** The mail server is away. */
export const OUTAGE = { from: HOUR, to: 2 * HOUR, what: 'outage' } as const;
/** More lines than Firehose takes. */
const FLOOD = { from: 30 * MINUTE, to: HOUR, what: 'too many lines' } as const;

const scenario = (
  given: Pick<Scenario, 'name' | 'title' | 'seconds' | 'mailsPerSecond'> & Partial<Scenario>,
): Scenario => {
  const sesPerSecond = given.sesPerSecond ?? BIG_ACCOUNT.sesPerSecond;
  return {
    ...BIG_ACCOUNT,
    subject: 'mails',
    linesPerSecond: (second) => given.mailsPerSecond(second) * LINES_PER_MAIL,
    isSmtpDown: () => false,
    firehoseLinesPerSecond: assumed('Firehose, large regions') / assumed('size of a log line'),
    limits: { min: 2, max: mostWorkers(sesPerSecond) },
    ...given,
  };
};

const burst = (usual: number, at: number) => (second: number) =>
  usual + (second === at ? 100_000 : 0);

/** Every scenario, in the order of the document. */
export const scenarios: readonly Scenario[] = [
  scenario({
    name: 'steady',
    title: 'A steady 150 registrations a second, from a standing start',
    seconds: 3 * HOUR,
    mailsPerSecond: () => 150,
  }),
  scenario({
    name: 'burst',
    title: 'A burst of 100,000 mails, at 300 mails a second',
    seconds: 2 * HOUR,
    mailsPerSecond: burst(10, 30 * MINUTE),
  }),
  scenario({
    ...FIRST_ACCOUNT,
    name: 'quota',
    title: 'A burst of 100,000 mails, at 14 mails a second and 50,000 a day',
    seconds: 30 * HOUR,
    // Room to go wrong: by the rule it would be 2.
    limits: { min: 1, max: 4 },
    mailsPerSecond: burst(0.1, 30 * MINUTE),
  }),
  scenario({
    name: 'day',
    title: 'A working day, with a rush at 3:00 and a campaign at 15:00',
    seconds: 24 * HOUR,
    mailsPerSecond: dayCurve(),
  }),
  scenario({
    name: 'outage',
    title: 'The mail server is away for an hour, from 1:00, at 150 registrations a second',
    seconds: 4 * HOUR,
    mailsPerSecond: () => 150,
    isSmtpDown: (second) => second >= OUTAGE.from && second < OUTAGE.to,
    marked: OUTAGE,
  }),
  scenario({
    name: 'firehose',
    title: 'More log lines than Firehose takes, for half an hour from 0:30',
    seconds: 3 * HOUR,
    subject: 'lines',
    mailsPerSecond: () => 20,
    linesPerSecond: (second) => (second >= FLOOD.from && second < FLOOD.to ? 2_400 : 1_000),
    marked: FLOOD,
    firehoseLinesPerSecond: assumed('Firehose, other regions') / assumed('size of a log line'),
  }),
];

/** The scenario of this name. @throws if there is none. */
export function scenarioNamed(name: string): Scenario {
  const found = scenarios.find((each) => each.name === name);
  if (!found) throw new Error(`there is no scenario ${name}`);
  return found;
}

function dayCurve(): (second: number) => number {
  const random = createRandom(1);
  const noise = Array.from({ length: 24 * 60 }, () => random.between(1 - NOISE, 1 + NOISE));
  return (second) => {
    const hour = Math.floor(second / HOUR);
    const [from = 0, to = 0] = [DAY[hour % 24], DAY[(hour + 1) % 24]];
    const usual = from + ((to - from) * (second % HOUR)) / HOUR;
    const isCampaign = second >= CAMPAIGN.from && second < CAMPAIGN.from + CAMPAIGN.seconds;
    const isNight = second >= NIGHT.from && second < NIGHT.from + NIGHT.seconds;
    const factor = (noise[Math.floor(second / MINUTE)] ?? 1) * (isCampaign ? CAMPAIGN.factor : 1);
    return usual * factor + (isNight ? NIGHT.perSecond : 0);
  };
}
