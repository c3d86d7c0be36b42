import { quoteStranger } from '../mails/styles.js';
import { renderMail, type RenderedMail } from '../mails/layout.js';
import { lifetimeOf, linkBlocks, type LinkMailFacts } from '../mails/wording.js';
import { utcTime } from './time.js';

/** The mail with the link that sets a new password. */
export function renderPasswordResetMail(facts: LinkMailFacts): RenderedMail {
  const { service, name } = facts;
  const lifetime = lifetimeOf(facts);
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
      ...linkBlocks(
        facts,
        'Choose a new password',
        `The link works once, for ${lifetime}, until ${utcTime(facts.expiresAt)}. You will be logged out everywhere.`,
      ),
      {
        kind: 'aside',
        title: 'If it was not you',
        text: 'You need not do anything: your password stays as it is. Please do not pass this mail on: whoever has the link can set your password.',
      },
    ],
    footer: `Sent by ${service} because a new password was asked for.`,
  });
}
