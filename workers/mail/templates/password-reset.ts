import type { ConfirmationMailFacts } from './confirmation.js';
import { quoteStranger } from './html.js';
import { renderMail, type RenderedMail } from './layout.js';
import { inWords, utcTime } from './time.js';

/** The mail with the link that sets a new password. */
export function renderPasswordResetMail({
  service,
  name,
  url,
  now,
  expiresAt,
}: ConfirmationMailFacts): RenderedMail {
  const lifetime = inWords(expiresAt.getTime() - now.getTime());
  return renderMail({
    service,
    subject: 'Choose a new password',
    preview: `The link to choose a new password for ${service} works for ${lifetime}, and once.`,
    blocks: [
      { kind: 'paragraph', text: `Hello ${quoteStranger(name)},` },
      {
        kind: 'paragraph',
        text: `Somebody, probably you, has asked for a new password for your ${service} account.`,
      },
      { kind: 'button', label: 'Choose a new password', url },
      {
        kind: 'paragraph',
        text: `The link works once, for ${lifetime}, until ${utcTime(expiresAt)}. You will be logged out everywhere.`,
      },
      {
        kind: 'address',
        label: 'If the button does not work, copy this address into your browser:',
        url,
      },
      {
        kind: 'aside',
        title: 'If it was not you',
        text: 'You need not do anything: your password stays as it is. Please do not pass this mail on: whoever has the link can set your password.',
      },
    ],
    footer: `Sent by ${service} because a new password was asked for.`,
  });
}
