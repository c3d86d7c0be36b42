/** Output for the person at the terminal. */
export interface Terminal {
  say(line?: string): void;
  /** Prints a JSON log line of a process if its level is warn or above; any other text unchanged. */
  showLogLine(source: string, line: string): void;
  bold(text: string): string;
  dim(text: string): string;
  accent(text: string): string;
  red(text: string): string;
}

const shownLevels: Readonly<Record<string, string>> = { warn: '33', error: '31', fatal: '31' };
/** Fields that every line has, or that repeat others. */
const omittedFields =
  /^(?:@timestamp|log\.level|message|service\..*|host\.name|process\.pid|event\.id|trace\.id|error\.stack_trace)$/;
/** The same message of the same process is shown once in this time: in an outage it repeats many times a second. */
const repeatMs = 5_000;

/** A terminal on a stream, with or without colour. */
export function createTerminal(stream: NodeJS.WritableStream, colour: boolean): Terminal {
  const paint = (code: string) => (text: string) =>
    colour ? `\u001B[${code}m${text}\u001B[0m` : text;
  const dim = paint('2');
  const lastShown = new Map<string, number>();

  function say(line = ''): void {
    stream.write(`${line}\n`);
  }

  function showLogLine(source: string, line: string): void {
    const record = parseObject(line);
    if (record === undefined) return say(`${dim(source.padEnd(6))}  ${line}`);
    const level = String(record['log.level']);
    const code = shownLevels[level];
    if (code === undefined) return;
    const message = String(record['message']);
    const key = `${source} ${message}`;
    if (Date.now() - (lastShown.get(key) ?? 0) < repeatMs) return;
    lastShown.set(key, Date.now());
    const time = String(record['@timestamp']).slice(11, 19);
    const fields = Object.entries(record)
      .filter(([name]) => !omittedFields.test(name))
      .map(
        ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
      );
    say(
      `${dim(time)}  ${source.padEnd(6)}  ${paint(code)(level.padEnd(5))}  ${message}  ${dim(fields.join(' '))}`,
    );
  }

  return { say, showLogLine, bold: paint('1'), dim, accent: paint('36'), red: paint('31') };
}

function parseObject(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
