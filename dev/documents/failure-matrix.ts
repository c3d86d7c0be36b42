/** One way in which something can fail, and what shows that nothing is lost by it. */
export interface Failure {
  readonly event: string;
  readonly outcome: string;
  /** Test files below test/, each with the beginning of a title in it. */
  readonly tests: readonly (readonly [file: string, title: string])[];
}

const kill = 'crash/kill.test.ts';
const relay = 'workers/relay.test.ts';
const sweep = 'workers/sweep.test.ts';
const delivery = 'workers/deliver-mail.test.ts';
const failures = 'workers/deliver-mail-failures.test.ts';
const batch = 'workers/ship-log-batch.test.ts';
const worker = 'workers/start-worker.test.ts';
const repairs = 'workers/sweep-repairs.test.ts';
const connect = 'shared/database/connect.test.ts';
const adoption = 'shared/logging/spool/adoption.test.ts';
const shipping = 'shared/logging/spool/shipping.test.ts';

/** What can fail between a request and its mail, or between a line and its record; docs/reliability.md shows it. */
export const failureMatrix: readonly Failure[] = [
  {
    event: 'The API dies between commit and enqueue',
    outcome: 'the message is a row of the same transaction; the relay makes its job',
    tests: [[kill, 'API killed ${failpoint}: the registration is committed']],
  },
  {
    event: 'Redis is down when a message is to be enqueued',
    outcome: 'the hand-over fails at once, the request is answered, the row stays pending',
    tests: [
      ['flows/faults/redis-down.test.ts', 'Redis down (${how}): everything is answered'],
      [relay, 'with Redis down (${how}) messages stay pending'],
    ],
  },
  {
    event: 'Redis takes the job, its answer is lost',
    outcome: 'the job has one id whoever adds it: a second add does nothing',
    tests: [[relay, 'a job that is there already is not made twice']],
  },
  {
    event: 'The relay dies after the add, before the mark',
    outcome: 'another relay adds the same job again',
    tests: [[kill, 'relay killed after-add']],
  },
  {
    event: 'Redis loses all its data',
    outcome: 'the name of its data has changed: every enqueued message is looked after at once',
    tests: [
      ['flows/faults/redis-down.test.ts', 'Redis loses all that it holds'],
      [sweep, 'when Redis has lost its data, all messages are looked after'],
      [sweep, 'a job that Redis does not know'],
    ],
  },
  {
    event: 'A failover loses the last second: jobs vanish, finished ones return',
    outcome: 'the sweep makes the vanished again; a returned one finds the marker',
    tests: [
      [sweep, 'a job that Redis does not know'],
      [delivery, 'the second copy of a job finds the marker'],
      [sweep, 'a job that is completed while its message is not settled'],
    ],
  },
  {
    event: 'Redis runs out of memory',
    outcome:
      'logs stop at 60 %, mails at 75 % and wait in the outbox; a worker rests instead of spinning',
    tests: [
      ['shared/queues/queue-room.test.ts', 'logs stop at 60 % of the memory, mails at 75 %'],
      [relay, 'while Redis has no room, messages wait in the outbox'],
      ['workers/rest-when-refused.test.ts', 'a worker whose Redis has no memory left rests'],
      ['flows/faults/redis-full.test.ts', 'a Redis of 64 MB that is flooded with logs'],
    ],
  },
  {
    event:
      'Redis refuses writes: a cluster, too few replicas, a replica, a full disk, missing rights',
    outcome:
      'said at the start, by readiness and by doctor, for each queue until a job of it is done; mails wait in the outbox',
    tests: [
      ['shared/queues/redis-probe.test.ts', 'a Redis that answers and ${what} is told'],
      ['flows/faults/redis-refuses.test.ts', 'a node of a cluster is refused at the start'],
      ['flows/faults/redis-refuses.test.ts', 'a Redis of the mails that refuses writes is red'],
      ['workers/rest-when-refused.test.ts', 'what one queue is refused stays told'],
    ],
  },
  {
    event: 'Redis’s copy of a job is broken',
    outcome:
      'the row is the truth: it gets a new job, ten at most; what is left in Redis is removed',
    tests: [
      [repairs, 'a job ${what}: its message gets a new one'],
      [repairs, 'a job ${what}: a worker that meets it first loses no mail'],
      [repairs, 'a queue whose key ${key} holds another type of data'],
    ],
  },
  {
    event: 'Somebody’s open transaction has locked a row of the outbox',
    outcome: 'the others are repaired and relayed; it follows once it is free',
    tests: [
      [repairs, 'one row in somebody’s open transaction holds up no other'],
      [repairs, 'a sweep of everything ends though more rows are locked'],
      [repairs, 'the relay goes on while the sweep cannot'],
    ],
  },
  {
    event: 'A worker dies in the middle of a mail',
    outcome: 'its lock and its claim run out, another worker sends',
    tests: [
      [kill, 'worker killed in the middle of a mail'],
      [delivery, 'the claim of a worker that died runs out'],
      [worker, 'the job of a silent worker is taken back by another'],
    ],
  },
  {
    event: 'A job’s workers die again and again',
    outcome:
      'the queue gives it up, the sweep makes a new job, ten in all; then it is a dead letter',
    tests: [
      [sweep, 'a job ${what}: the message gets a new job'],
      [sweep, 'after ten jobs ${what} the message is dead'],
    ],
  },
  {
    event: 'A worker dies after the server’s 250, before the marker',
    outcome: 'a way to a second copy; both hold the same link',
    tests: [[kill, 'worker killed after-250']],
  },
  {
    event: 'A worker dies after the marker, before the job is finished',
    outcome: 'the next copy of the job finds the marker and does nothing',
    tests: [[kill, 'worker killed after-marker']],
  },
  {
    event: 'A worker stands still for longer than its lock',
    outcome: 'another takes the job, and waits for the rest of the claim',
    tests: [
      [delivery, 'two workers at once: one sends, the other waits'],
      [delivery, 'many claims at the same moment: one wins'],
    ],
  },
  {
    event: 'The mail server is out of reach',
    outcome: 'the queue rests, one mail at a time tries, no mail loses a try',
    tests: [
      [
        'flows/faults/smtp-outage.test.ts',
        'an outage of the mail server (${how}) costs no mail a try',
      ],
      ['workers/mail-breaker.test.ts', 'after a failure all rest'],
    ],
  },
  {
    event: 'The mail server puts a mail off (4xx)',
    outcome: 'tried again with growing pauses, for about a day',
    tests: [
      [failures, 'a deferral gives the claim back'],
      ['flows/faults/smtp-down.test.ts', '${what} delays the mail'],
      ['flows/faults/smtp-down.test.ts', 'one refused mail does not hold up the others'],
    ],
  },
  {
    event: 'The mail server refuses a mail (5xx)',
    outcome: 'a dead letter with its cause',
    tests: [
      [failures, 'a refusal ends in a dead message'],
      ['flows/faults/smtp-down.test.ts', 'a permanent refusal buries the message'],
    ],
  },
  {
    event: 'We send faster than the provider allows',
    outcome: 'the whole queue rests, over all workers; no try is counted',
    tests: [
      [failures, 'a throttled server gives the whole queue a rest'],
      [worker, 'a throttled queue rests, and the try is not counted'],
    ],
  },
  {
    event: 'The settings for the mail server are wrong',
    outcome: 'the queue waits, readiness is red until a mail has gone',
    tests: [[failures, 'wrong credentials rest the queue and turn readiness red']],
  },
  {
    event: 'The mail server never answers',
    outcome: 'given up before the claim runs out; with the content sent it may have the mail',
    tests: [
      ['workers/smtp-mailer.test.ts', 'a server that never greets is given up in time'],
      ['workers/smtp-mailer.test.ts', 'a server that never answers to the content'],
    ],
  },
  {
    event: 'A process dies with lines that are not yet shipped',
    outcome: 'they are on disk before they are on stdout; another process takes its folder over',
    tests: [
      ['shared/logging/spool/writing.test.ts', 'the lines of one turn are on disk before'],
      ['crash/log-spool.test.ts', 'API killed with lines in flight'],
      [adoption, 'what a dead process left is shipped under its own ids'],
      [adoption, 'of many who look at once exactly one takes a folder over'],
    ],
  },
  {
    event: 'Redis loses the log batches that it holds',
    outcome: 'a segment stays on disk until its receipt is there, and is enqueued again',
    tests: [
      ['crash/log-spool.test.ts', 'Redis loses all of its data: the batches in it'],
      [shipping, 'a batch whose job Redis has lost is enqueued again'],
    ],
  },
  {
    event: 'Redis is down, full or slow when lines are to be shipped',
    outcome: 'they wait on disk, and go when it is back',
    tests: [
      ['flows/log-shipping.test.ts', 'with Redis gone the API goes on'],
      [shipping, 'a queue that refuses is asked again'],
      [shipping, 'without room nothing is enqueued'],
    ],
  },
  {
    event: 'The spool is full',
    outcome:
      'the oldest lines go; they are counted, and a record says how many and from when to when',
    tests: [
      ['shared/logging/spool/cap.test.ts', 'past its size the spool drops the oldest lines'],
      ['shared/logging/spool/cap.test.ts', 'a record of a gap that is dropped itself'],
    ],
  },
  {
    event: 'The disk of the spool fails or is full',
    outcome: 'stdout has every line all the same; what is not spooled is counted',
    tests: [['shared/logging/spool/writing.test.ts', 'lines that cannot be spooled are on stdout']],
  },
  {
    event: 'Firehose throttles or fails a whole call',
    outcome: 'the queue rests, the batch stays',
    tests: [['flows/log-shipping.test.ts', 'a Firehose that fails in every way it can']],
  },
  {
    event: 'Firehose takes a part of a call',
    outcome: 'only the rest is put again',
    tests: [[batch, 'only what was not taken is put again']],
  },
  {
    event: 'A record or call over Firehose’s limits',
    outcome: 'lines are cut at the source, calls are parted, a record that is refused goes alone',
    tests: [
      [batch, 'a record too large for any call is left out'],
      [batch, 'a batch that is more than a call takes goes in several calls'],
      [batch, 'a record that Firehose refuses is found by halving'],
    ],
  },
  {
    event: 'A job that nobody can read',
    outcome:
      'given up with its reason, and made again from the row; one of a newer version is left to a newer worker',
    tests: [
      [worker, 'data that no version has is given up'],
      [worker, 'data of another version is left to another worker'],
    ],
  },
  {
    event: 'SIGTERM in the middle of a job',
    outcome: 'finished, or handed back before its effect; the exit code is 0',
    tests: [
      [worker, 'past its deadline stop has the job handed back'],
      [failures, 'at shutdown a job that has not begun'],
      [kill, 'SIGTERM ends both processes with 0'],
    ],
  },
  {
    event: 'SIGTERM while Redis is down',
    outcome: 'nobody waits for it',
    tests: [['workers/worker-process.test.ts', 'SIGTERM with Redis down']],
  },
  {
    event: 'PostgreSQL is down',
    outcome:
      '503 within `POSTGRES_TIMEOUT` and a second; the mail queue rests; both recover by themselves',
    tests: [
      ['flows/faults/postgres-down.test.ts', 'PostgreSQL down (${how}): 503 with Retry-After'],
      ['flows/faults/postgres-down.test.ts', 'PostgreSQL down (${how}): the worker waits for it'],
    ],
  },
  {
    event: 'PostgreSQL is read-only, or its disk is full',
    outcome:
      '503 to what writes, readiness and doctor say so, no try is counted; each refused session is replaced',
    tests: [
      ['flows/faults/postgres-read-only.test.ts', 'PostgreSQL that is read-only: 503'],
      [connect, 'a session that refuses a write (${how}) is not used again'],
      ['shared/health/common-checks.test.ts', 'a server that reads and does not write'],
    ],
  },
  {
    event: 'A connection pooler in transaction mode stands before PostgreSQL',
    outcome: 'all works with its defaults; doctor tells of a time-out that did not take effect',
    tests: [
      ['flows/faults/pooler.test.ts', 'behind PgBouncer in transaction mode, as it comes'],
      ['flows/faults/pooler.test.ts', 'behind a pooler migrations run'],
      ['flows/faults/pooler.test.ts', 'doctor tells that the time-out'],
    ],
  },
  {
    event: 'PostgreSQL goes between the server’s 250 and the marker',
    outcome: 'the marker waits for it; the mail is not sent again',
    tests: [[failures, 'PostgreSQL gone right after the server took the mail']],
  },
  {
    event: 'Several relays, several sweeps',
    outcome: 'each message is locked by one of them at a time',
    tests: [
      [relay, 'more than a batch goes without a pause, and two relays share it'],
      [sweep, 'two sweeps at once: one works, the other leaves it to it'],
    ],
  },
  {
    event: 'A worker becomes deaf: it takes no jobs although some wait',
    outcome: 'it ends, and its supervisor starts another',
    tests: [['workers/watchdog.test.ts', 'a worker that takes nothing while jobs wait']],
  },
  {
    event: 'Everything at once, at random',
    outcome: 'nothing is lost',
    tests: [['crash/chaos.test.ts', 'twenty seconds of chaos lose nothing']],
  },
];
