import { renderMail, type RenderedMail } from '../mails/layout.js';
import { lifetimeOf, linkBlocks, type LinkMailFacts } from '../mails/wording.js';
import { utcTime } from './time.js';

/** The mail to somebody who has registered, never confirmed, and forgotten the password. */
export function renderFirstPasswordMail(facts: LinkMailFacts): RenderedMail {
  const { service, expiresAt } = facts;
  const lifetime = lifetimeOf(facts);
  return renderMail({
    service,
    subject: 'Choose a password and confirm your address',
    preview: `The link to choose a password for ${service} works for ${lifetime}, and once.`,
    blocks: [
      {
        kind: 'paragraph',
        text: `Somebody, probably you, has asked for a new password at ${service}. This e-mail address has been registered and not been confirmed yet: the link does both.`,
      },
      ...linkBlocks(
        facts,
        'Choose a password',
        `The link works once, for ${lifetime}, until ${utcTime(expiresAt)}.`,
      ),
      {
        kind: 'aside',
        title: 'If it was not you',
        text: 'You need not do anything: unless it is confirmed the account cannot be used. Please do not pass this mail on: whoever has the link can set the password.',
      },
    ],
    footer: `Sent by ${service} because a new password was asked for.`,
  });
}
