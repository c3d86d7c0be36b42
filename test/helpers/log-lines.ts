import { eventually, type Patience } from './eventually.js';

/** One line that a process logged. */
export type LogLine = Readonly<Record<string, unknown>>;

/** What is written to an output that carries log lines, as far as it was written. */
export interface WrittenLines {
  /** All of it. */
  text(): string;
  /** Every whole line. @throws when one of them is not one JSON object. */
  logLines(): LogLine[];
  /** Resolves to the first line that the predicate takes. */
  waitForLine(isWanted: (line: LogLine) => boolean, patience?: Patience): Promise<LogLine>;
  /** @throws when a request was answered 500: no test brings that about, so it fails the one in which it happens. */
  refuseDefects(who: string): void;
}

const INTERNAL_ERROR = '"message":"request failed"';

/** Finds the one line that tells of a request as a whole. */
export const isRequest =
  (requestId: string) =>
  (line: LogLine): boolean =>
    line['http.request.id'] === requestId && line['message'] === 'request';

/** Keeps lines as they come, and reads each of them once, however often they are asked for. */
export function keepLines(): WrittenLines & { add(text: string | Buffer): void } {
  let text = '';
  let readUpTo = 0;
  const lines: LogLine[] = [];
  const logLines = (): LogLine[] => {
    const end = text.lastIndexOf('\n');
    if (end > readUpTo) lines.push(...text.slice(readUpTo, end).split('\n').map(parseLine));
    readUpTo = Math.max(readUpTo, end + 1);
    return [...lines];
  };
  return {
    add: (more) => void (text += more.toString()),
    text: () => text,
    logLines,
    waitForLine: (isWanted, patience = { of: 'the log line' }) =>
      eventually(() => logLines().find(isWanted), patience),
    refuseDefects(who) {
      const defects = text.split('\n').filter((line) => line.includes(INTERNAL_ERROR));
      if (defects.length > 0) throw new Error(`${who} has a defect:\n${defects.join('\n')}`);
    },
  };
}

function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch (error) {
    throw new Error(`not a line of JSON on stdout: ${line}`, { cause: error });
  }
}
