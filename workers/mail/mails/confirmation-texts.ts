import { renderMail, type RenderedMail } from './layout.js';
import { lifetimeOf, linkBlocks, type LinkMailFacts } from './wording.js';

/**
 * The mail that asks the owner of an address whether it is theirs. It repeats nothing that was registered: a stranger may
 * have entered it.
 */
export function renderConfirmationMail(facts: LinkMailFacts): RenderedMail {
  const { service } = facts;
  const lifetime = lifetimeOf(facts);
  return renderMail({
    service,
    subject: 'Confirm your e-mail address',
    preview: `One step, and your ${service} account is ready. The link works for ${lifetime}.`,
    blocks: [
      {
        kind: 'paragraph',
        text: `Somebody has registered at ${service} with this e-mail address. If that was you, please confirm that the address is yours: follow the link, and enter the password that you chose.`,
      },
      ...linkBlocks(facts, 'Confirm my address'),
      {
        kind: 'aside',
        title: 'If it was not you',
        text: 'You need not do anything. Unless it is confirmed the account cannot be used, and the link expires by itself. Please do not pass this mail on: the link is meant for you alone.',
      },
    ],
    footer: `Sent by ${service} because of a registration with your address.`,
  });
}
