#!/usr/bin/env node
// Apart from run.ts, so that tests can import the command line without running it.
import { runInTerminal } from './run.js';
import { openTerminal } from './terminal.js';

// Unless the command ends.
process.exitCode = 1;
void runInTerminal(process.argv.slice(2), process.env, openTerminal(process)).then((exitCode) => {
  process.exitCode = exitCode;
});
