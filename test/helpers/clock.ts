/** Runs `work` while the clock of this process differs from PostgreSQL's by so many milliseconds. One at a time. */
export async function withClockOff<T>(byMs: number, work: () => Promise<T>): Promise<T> {
  const RightDate = globalThis.Date;
  globalThis.Date = class extends RightDate {
    constructor(...args: [] | ConstructorParameters<DateConstructor>) {
      if (args.length === 0) super(RightDate.now() + byMs);
      else super(...args);
    }
    static override now(): number {
      return RightDate.now() + byMs;
    }
  } as DateConstructor;
  try {
    return await work();
  } finally {
    globalThis.Date = RightDate;
  }
}
