import { ask } from './http.js';

/** One line of a scrape. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What a process answered to a scrape. */
export interface Scrape {
  readonly text: string;
  readonly samples: readonly Sample[];
  /** The names after `# TYPE`, with the type. */
  readonly types: ReadonlyMap<string, string>;
  /** The sum over all series that have these labels. */
  value(name: string, labels?: Readonly<Record<string, string>>): number;
}

/** Reads the metrics of a process. @throws unless it answers with them. */
export async function scrape(
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Scrape> {
  const { status, text } = await ask(`${url}/metrics`, {
    headers,
    signal: AbortSignal.timeout(60_000),
  });
  if (status !== 200) throw new Error(`/metrics was answered with ${status}: ${text}`);
  return parseScrape(text);
}

/** Reads Prometheus's text format, version 0.0.4. @throws for a line that is none of it. */
export function parseScrape(text: string): Scrape {
  const types = new Map<string, string>();
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    const [, name = '', type = ''] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (name !== '') types.set(name, type);
    if (line === '' || line.startsWith('#')) continue;
    samples.push(sampleIn(line));
  }
  return {
    text,
    samples,
    types,
    value: (wanted, labels = {}) =>
      samples
        .filter(
          (sample) =>
            sample.name === wanted &&
            Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
        )
        .reduce((sum, { value }) => sum + value, 0),
  };
}

function sampleIn(line: string): Sample {
  const [, name, inBraces = '', value] =
    /^([a-z_][a-z0-9_]*)(?:\{(.*)\})? ([-+.\deEInfa]+)$/.exec(line) ?? [];
  if (name === undefined || value === undefined) throw new Error(`not a sample: ${line}`);
  const labels = [...inBraces.matchAll(/([a-z_]+)="([^"\\]*)"(?:,|$)/g)];
  if (labels.map(([text]) => text).join('') !== inBraces) throw new Error(`not labels: ${line}`);
  return {
    name,
    labels: Object.fromEntries(labels.map(([, label = '', text = '']) => [label, text])),
    value: value === '+Inf' ? Infinity : Number(value),
  };
}
