import { quoteStranger } from '../mails/styles.js';
import { renderMail, type RenderedMail } from '../mails/layout.js';

/** What the mail to the owner of an account tells. */
export interface AccountExistsMailFacts {
  readonly service: string;
  /** The owner's own. */
  readonly name: string;
  readonly publicUrl: string;
}

/** The mail that tells the owner of an account that somebody wanted its address for another one. */
export function renderAccountExistsMail({
  service,
  name,
  publicUrl,
}: AccountExistsMailFacts): RenderedMail {
  return renderMail({
    service,
    subject: 'You already have an account',
    preview: `Somebody, probably you, wanted to use this address at ${service} again. There is no need to.`,
    blocks: [
      { kind: 'paragraph', text: `Hello ${quoteStranger(name)},` },
      {
        kind: 'paragraph',
        text: `Somebody, probably you, has just tried to register at ${service} with this e-mail address, or to use it for another account. There is no need to: you have an account already. Log in with this address and the password that you chose then.`,
      },
      { kind: 'address', label: `${service} is at:`, url: publicUrl },
      {
        kind: 'aside',
        title: 'If it was not you',
        text: 'You need not do anything. Your account and your password are as they were, and entering your address lets nobody in.',
      },
    ],
    footer: `Sent by ${service} because somebody entered your address.`,
  });
}
