import type { Logger } from '../logging/logger.js';
import type { Notice, NoticeChannel } from './notice.js';

/** Sends a notice and logs what became of it; resolves to whether it was delivered. */
export async function sendNotice(
  log: Logger,
  channel: NoticeChannel,
  notice: Notice,
  signal: AbortSignal,
): Promise<boolean> {
  const fields = {
    'labels.channel': channel.kind,
    'labels.raised': notice.raised.map(({ name }) => name).join(','),
    'labels.cleared': notice.cleared.map(({ name }) => name).join(','),
  };
  try {
    await channel.send(notice, signal);
    log.info(fields, 'alert notice sent');
    return true;
  } catch (error) {
    log.warn({ ...fields, err: error }, 'alert notice failed; will retry');
    return false;
  }
}
