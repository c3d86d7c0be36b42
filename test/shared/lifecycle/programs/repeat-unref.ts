import { startRepeating } from '../../../../shared/lifecycle/repeat.js';

const HOUR_MS = 3_600_000;

/** Does one turn and pauses for an hour, in which nothing keeps the process. */
const turn = async (): Promise<number> => {
  process.stdout.write('a turn\n');
  return HOUR_MS;
};
startRepeating(turn, 0, { unref: true });
