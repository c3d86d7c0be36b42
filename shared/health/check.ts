/** What one check found; numbers tell how far something lags. */
export interface CheckResult {
  readonly ok: boolean;
  readonly problem?: string;
  readonly [measure: string]: number | boolean | string | undefined;
}

/** Looks at one thing that the process needs. A rejection counts as not ok. */
export type Check = () => Promise<CheckResult>;
