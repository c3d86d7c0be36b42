/**
 * The vocabulary. One word for one thing, in code, logs and documents.
 *
 * - **admin**: a registered person; owns users. **operator**: an admin who also operates the service.
 * - **user**: a person whom an admin manages; does not log in.
 * - **session**: one login of one admin; its access and refresh tokens are valid as long as it lives.
 * - **registration**: name and password that a person, perhaps a stranger, has registered an address with; in force once it is
 *   confirmed.
 * - **confirmation**: a mailed link that proves who reads an address's mail.
 * - **outbox message**: a row that stands for work to be done, written in the transaction that causes it.
 * - **job**: an entry of a BullMQ **queue**; for a mail, a reference to one outbox message.
 * - **enqueue after commit**: the API's own attempt to add a message's job, right after the commit; if it fails, the relay adds it.
 * - **relay**: adds the jobs of pending messages to their queue. **sweep**: makes messages whose job was lost pending again.
 * - **generation**: a number in the id of a message's or batch's job, raised where Redis would refuse a new job under the old
 *   id. A session counts its refresh tokens by the same word.
 * - **claim**: a worker's exclusive right to a message, for 30 seconds by the database's clock; others wait until it expires.
 * - **delivery**: one attempt to carry out one outbox message; each claim opens one.
 * - **pause**: no job of a queue is started for a time, because every job would fail (a rate limit of BullMQ over all workers).
 * - **in flight**: started, with an outcome that is not yet recorded.
 * - **stalled job**: one whose worker died or was blocked. **stalled consumer**: a worker that takes no jobs although some wait.
 * - **mail event**: what the provider reports about a mail that it has accepted: delivered, bounced, complained.
 * - **suppression**: an address that gets no more mail. **dead letter**: a message that failed permanently.
 * - **perhaps sent** (`uncertain`): a message whose content was sent three times and never answered.
 * - **redrive**: an operator has a dead letter attempted again, under a new generation.
 * - **batch**: log lines that are shipped together; one batch is one job is one call of Firehose.
 * - **spool**: where log lines wait on disk. **segment**: a file of it; one closed segment is one batch.
 * - **receipt**: proof that a batch has reached the stream; until it exists, the segment is kept.
 * - **gap**: lines that were dropped because the spool was full, and the record that says so.
 * - **epoch**: the id of one Redis's data; another epoch means that the data was lost.
 */
export {};
