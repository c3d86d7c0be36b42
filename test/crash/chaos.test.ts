import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import test from 'ava';
import * as z from 'zod';
import { projectRoot } from '../../dev/paths.js';

const SECONDS = 10;

const Report = z.object({
  seed: z.number(),
  faults: z.record(z.string(), z.number()),
  acknowledged: z.number(),
  lostMails: z.array(z.string()),
  doubledMails: z.number(),
  lines: z.number(),
  lostLines: z.array(z.string()),
  ownEnds: z.number(),
  refusedFirehoseCalls: z.number(),
});

test('ten seconds of chaos lose nothing', async (t) => {
  t.timeout(420_000);
  const child = spawn(
    process.execPath,
    ['--enable-source-maps', 'dist/dev/chaos/main.js', '--seconds', String(SECONDS), '--json'],
    { cwd: projectRoot, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  t.teardown(() => void child.kill());
  const [output, said] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  t.log(said.trim());
  const report = Report.parse(JSON.parse(output));
  const { seed, faults, acknowledged, lostMails, lostLines, doubledMails } = report;
  t.true((faults['kill'] ?? 0) >= 4, JSON.stringify(faults));
  t.true((faults['wipe-redis'] ?? 0) >= 1, JSON.stringify(faults));
  t.true(acknowledged > 0 && report.lines > 0);
  t.deepEqual(lostMails, [], `npm run chaos -- --seed ${seed}`);
  t.deepEqual(lostLines, [], `npm run chaos -- --seed ${seed}`);
  t.is(report.ownEnds, 0);
  t.is(report.refusedFirehoseCalls, 0);
  t.true(doubledMails <= (faults['kill'] ?? 0), 'a double needs a worker that dies');
  t.is(child.exitCode, 0);
});
