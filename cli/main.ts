// Apart from run.ts, so that tests can import the command line without running it.
import { runCommandLine } from './run.js';

const { code, stdout, stderr } = await runCommandLine(process.argv.slice(2), process.env);
process.stdout.write(stdout);
process.stderr.write(stderr);
process.exitCode = code;
