import type { MailBlock } from './layout.js';
import { inWords, utcTime } from '../templates/time.js';

/** What a mail with a link is made from. */
export interface LinkMailFacts {
  readonly service: string;
  /** The account's; empty for one that has not been confirmed. */
  readonly name: string;
  readonly url: string;
  readonly now: Date;
  readonly expiresAt: Date;
}

type Link = Pick<LinkMailFacts, 'url' | 'now' | 'expiresAt'>;

/** For how long the link works. */
export const lifetimeOf = ({ now, expiresAt }: Link): string =>
  inWords(expiresAt.getTime() - now.getTime());

/**
 * The link: a button, a note, and its address to copy.
 * @param note what is to be known before it is followed; how long it works, if nothing else.
 */
export function linkBlocks(
  link: Link,
  label: string,
  note = `The link works for ${lifetimeOf(link)}, until ${utcTime(link.expiresAt)}.`,
): MailBlock[] {
  return [
    { kind: 'button', label, url: link.url },
    { kind: 'paragraph', text: note },
    {
      kind: 'address',
      label: 'If the button does not work, copy this address into your browser:',
      url: link.url,
    },
  ];
}
