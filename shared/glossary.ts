/**
 * The vocabulary. One word for one thing, in code, logs and documents.
 *
 * - **admin**: somebody who registered; owns users. **operator**: an admin who also looks after the service.
 * - **user**: a person whom an admin manages; does not log in.
 * - **session**: one login of one admin; its access and refresh tokens live and die with it.
 * - **registration**: what somebody, perhaps a stranger, has registered an address with; in force once it is confirmed.
 * - **confirmation**: a mailed link that proves who reads an address's mail.
 * - **outbox message**: a row that promises work, written in the transaction that causes it.
 * - **job**: an entry of a BullMQ **queue**; for a mail, the errand boy of one outbox message.
 * - **relay**: puts pending messages on their queue. **sweep**: puts back those whose job was lost.
 * - **hand-over**: the API's own try to put a message on its queue, right after the commit; the relay's work, if it fails.
 * - **generation**: a number in the id of a message's or batch's job, raised where Redis would refuse a new job under the old
 *   id. A session counts its refresh tokens by the same word.
 * - **claim**: a worker's right to a message, for 30 seconds by the database's clock; others wait until it runs out.
 * - **delivery**: one try to carry out one outbox message; each claim opens one.
 * - **mail event**: what the provider tells about a mail that it has taken: delivered, bounced, complained.
 * - **suppression**: an address that no mail goes to any more. **dead letter**: a message that was given up.
 * - **redrive**: an operator has a dead letter tried again, under a new generation.
 * - **batch**: log lines sealed together; one batch is one job is one call of Firehose.
 * - **spool**: where log lines wait on disk. **segment**: a file of it; one sealed segment is one batch.
 * - **receipt**: proof that a batch has reached the stream; until it is there, the segment is kept.
 * - **gap**: lines that were dropped because the spool was full, and the record that says so.
 * - **epoch**: the name that one Redis's data goes by; another epoch means that the data was lost.
 */
export {};
