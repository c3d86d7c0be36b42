/**
 * The vocabulary: one word for one thing, in code, logs and documents.
 *
 * Accounts
 * - **admin**: an account with a confirmed e-mail address; owns users. **operator**: an admin who also runs the service.
 * - **user**: a person managed by an admin; does not log in.
 * - **registration**: a request to become an admin, perhaps by somebody who does not own the address; takes effect when it
 *   is confirmed.
 * - **confirmation**: a mailed link that proves control of an address.
 * - **session**: one login of one admin. Ending it revokes its access token and its refresh token.
 * - **revoked token**: a token that is refused although it has not expired.
 * - **rate limit**: how many attempts one address, network or account has within a window.
 *
 * Mail
 * - **outbox message**: a row that promises a mail, written in the transaction that causes it.
 * - **job**: an entry of a BullMQ **queue**; the job of a mail refers to one outbox message.
 * - **enqueue after commit**: the API's own attempt to add the job, right after its transaction.
 * - **relay**: enqueues pending outbox messages. **sweep**: re-enqueues those whose job was lost.
 * - **generation**: a number in a job's id, incremented when Redis would refuse a new job under the old id. A session numbers
 *   its refresh tokens by generations too.
 * - **claim**: a worker's exclusive right to a message, for 30 seconds by the database's clock unless it is renewed.
 * - **delivery**: one attempt to deliver one outbox message; each claim opens one.
 * - **dead letter**: a message that was given up (state `dead`). **dead-letter**: to give it up.
 * - **perhaps sent** (state `uncertain`): the content was transmitted three times and the server never answered.
 * - **in flight**: started, with an outcome that is not yet recorded.
 * - **throttled queue**: no job of it is started for a time, because every job would fail (a rate limit of BullMQ over all
 *   workers). **paused queue**: no job of it is taken until an operator resumes it; the reason is kept beside the jobs.
 * - **cause** of a dead letter: the SMTP code of the last reply, or the error without what differs from mail to mail.
 * - **bulk action**: redriving or discarding all dead letters that fit a filter, in batches, at a rate.
 * - **redrive**: an operator's retry of a dead letter, under a new generation.
 * - **mail event**: what the provider reports about an accepted mail: delivered, bounced, complained.
 * - **suppression**: an address that gets no more mail after a bounce or a complaint.
 * - **circuit breaker**: throttles the mail queue while the SMTP server is unreachable, and probes it with one mail at a time.
 * - **stalled job**: one whose worker died or was blocked; another worker gets it. **stalled consumer**: a worker that takes no jobs although some wait; its process exits and is restarted.
 *
 * Logs
 * - **spool**: the folder where log lines wait on disk. **segment**: one of its files.
 * - **batch**: the lines of one sealed segment; one batch is one job and one call of Firehose.
 * - **receipt**: proof that a batch was shipped; its segment is kept until then.
 * - **takeover**: a process ships the segments that another process left behind.
 * - **gap**: lines that were dropped because the spool was full, and the record that says so.
 * - **epoch**: the id of one Redis's data; a different epoch means that the data was lost.
 *
 * Operation
 * - **presence**: the row in which a process says that it lives, what it is and what it sees. **lost**: not seen for 150 seconds,
 *   without having stopped.
 * - **red state**: a fault that an operator must hear of, one of a closed list (`red-states.ts`). Every process evaluates the list
 *   about every 15 seconds; what two evaluations in a row find is **confirmed**.
 * - **alert**: the row of a confirmed red state: **raised** while a process sees it (Prometheus: firing), **cleared** when none
 *   has for a while (resolved).
 * - **notice**: a message to operators by one **channel**, a mailbox or the webhook: which alerts were raised, and which cleared.
 *   **fallback notice**: one that a process sends by itself while PostgreSQL is away.
 * - **per-minute metrics**: what all processes counted within one minute, kept for the charts.
 *
 * Tests
 * - **fail point**: a named place at which a crash test kills the process.
 * - **fixture**: what a test file sets up for its tests: a database, processes, accounts.
 */
export {};
