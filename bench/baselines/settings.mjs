/** What the benchmark has told this baseline: port, host, postgresUrl and more. */
export const settings = JSON.parse(process.argv[2] ?? '{}');
