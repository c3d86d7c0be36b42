import { quoteStranger } from '../mails/styles.js';
import { renderMail, type RenderedMail } from '../mails/layout.js';
import { lifetimeOf, linkBlocks, type LinkMailFacts } from '../mails/wording.js';

/** The mail that asks the owner of a new address whether it is theirs. */
export function renderEmailChangeMail(facts: LinkMailFacts): RenderedMail {
  const { service, name } = facts;
  const lifetime = lifetimeOf(facts);
  return renderMail({
    service,
    subject: 'Confirm your new e-mail address',
    preview: `One step, and your ${service} account has its new address. The link works for ${lifetime}.`,
    blocks: [
      {
        kind: 'paragraph',
        text: `The ${service} account “${quoteStranger(name)}” is to use this e-mail address from now on. If that is what you want, please confirm that the address is yours: follow the link, and enter the password of the account.`,
      },
      ...linkBlocks(facts, 'Confirm my new address'),
      {
        kind: 'aside',
        title: 'If it was not you',
        text: 'You need not do anything. Somebody has mistyped an address; yours is used for nothing unless you confirm it.',
      },
    ],
    footer: `Sent by ${service} because an account wants to use your address.`,
  });
}
