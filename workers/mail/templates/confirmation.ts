import { quoteStranger } from './html.js';
import { renderMail, type RenderedMail } from './layout.js';
import { inWords, utcTime } from './time.js';

/** What the mail with the confirmation link tells. */
export interface ConfirmationMailFacts {
  readonly service: string;
  /** As whoever registered gave it. */
  readonly name: string;
  readonly url: string;
  readonly now: Date;
  readonly expiresAt: Date;
}

/** The mail that asks the owner of an address whether it is theirs. */
export function renderConfirmationMail({
  service,
  name,
  url,
  now,
  expiresAt,
}: ConfirmationMailFacts): RenderedMail {
  const lifetime = inWords(expiresAt.getTime() - now.getTime());
  return renderMail({
    service,
    subject: 'Confirm your e-mail address',
    preview: `One step, and your ${service} account is ready. The link works for ${lifetime}.`,
    blocks: [
      {
        kind: 'paragraph',
        text: `Somebody has registered at ${service} with this e-mail address and the name “${quoteStranger(name)}”. If that was you, please confirm that the address is yours.`,
      },
      { kind: 'button', label: 'Confirm my address', url },
      { kind: 'paragraph', text: `The link works for ${lifetime}, until ${utcTime(expiresAt)}.` },
      {
        kind: 'address',
        label: 'If the button does not work, copy this address into your browser:',
        url,
      },
      {
        kind: 'aside',
        title: 'If it was not you',
        text: 'You need not do anything. Unless it is confirmed the account cannot be used, and the link expires by itself. Please do not pass this mail on: the link is meant for you alone.',
      },
    ],
    footer: `Sent by ${service} because of a registration with your address.`,
  });
}
