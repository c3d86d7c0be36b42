import type { ConfirmationMailFacts } from './confirmation.js';
import { quoteStranger } from './html.js';
import { renderMail, type RenderedMail } from './layout.js';
import { inWords, utcTime } from './time.js';

/** The mail that asks the owner of a new address whether it is theirs. */
export function renderEmailChangeMail({
  service,
  name,
  url,
  now,
  expiresAt,
}: ConfirmationMailFacts): RenderedMail {
  const lifetime = inWords(expiresAt.getTime() - now.getTime());
  return renderMail({
    service,
    subject: 'Confirm your new e-mail address',
    preview: `One step, and your ${service} account has its new address. The link works for ${lifetime}.`,
    blocks: [
      {
        kind: 'paragraph',
        text: `The ${service} account “${quoteStranger(name)}” is to use this e-mail address from now on. If that is what you want, please confirm that the address is yours.`,
      },
      { kind: 'button', label: 'Confirm my new address', url },
      { kind: 'paragraph', text: `The link works for ${lifetime}, until ${utcTime(expiresAt)}.` },
      {
        kind: 'address',
        label: 'If the button does not work, copy this address into your browser:',
        url,
      },
      {
        kind: 'aside',
        title: 'If it was not you',
        text: 'You need not do anything. Somebody has mistyped an address; yours is used for nothing unless you confirm it.',
      },
    ],
    footer: `Sent by ${service} because an account wants to use your address.`,
  });
}
