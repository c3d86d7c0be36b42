/** One thing wrong with what is deployed: where, and what. */
export interface DeployFinding {
  readonly where: string;
  readonly problem: string;
}

/** As a reader of the output sees them. */
export const describe = (findings: readonly DeployFinding[]): string =>
  findings.map(({ where, problem }) => `${where}: ${problem}`).join('\n');
