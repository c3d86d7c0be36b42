import { renderMail, type RenderedMail } from './layout.js';
import { lifetimeOf, linkBlocks, quoteName, utcTime, type LinkMailFacts } from './wording.js';

/** Asks the owner of an address whether it is theirs. Repeats nothing that was registered: a stranger may have entered it. */
export function renderConfirmationMail(facts: LinkMailFacts): RenderedMail {
  const { service } = facts;
  const lifetime = lifetimeOf(facts);
  return renderMail({
    service,
    subject: 'Confirm your e-mail address',
    preview: `One more step and your ${service} account is ready. The link works for ${lifetime}.`,
    blocks: [
      {
        kind: 'paragraph',
        text: `Someone has registered at ${service} with this e-mail address. If that was you, please confirm that the address is yours: follow the link and enter the password that you chose.`,
      },
      ...linkBlocks(facts, 'Confirm my address'),
      {
        kind: 'aside',
        title: 'If it was not you',
        text: 'You do not need to do anything. Unless it is confirmed, the account cannot be used, and the link expires by itself. Please do not forward this mail: the link is meant for you alone.',
      },
    ],
    footer: `Sent by ${service} because someone registered with your address.`,
  });
}

/** Asks the owner of the new address whether it is theirs. */
export function renderEmailChangeMail(facts: LinkMailFacts): RenderedMail {
  const { service, name } = facts;
  const lifetime = lifetimeOf(facts);
  return renderMail({
    service,
    subject: 'Confirm your new e-mail address',
    preview: `One more step and your ${service} account has its new address. The link works for ${lifetime}.`,
    blocks: [
      {
        kind: 'paragraph',
        text: `Someone asked to change the e-mail address of the ${service} account “${quoteName(name)}” to this one. If that was you, please confirm that the address is yours: follow the link and enter the password of the account.`,
      },
      ...linkBlocks(facts, 'Confirm my new address'),
      {
        kind: 'aside',
        title: 'If it was not you',
        text: 'You do not need to do anything. Someone probably mistyped their address. Nothing happens unless you confirm.',
      },
    ],
    footer: `Sent by ${service} because someone asked to use your address for an account.`,
  });
}

export function renderPasswordResetMail(facts: LinkMailFacts): RenderedMail {
  const { service, name } = facts;
  const lifetime = lifetimeOf(facts);
  return renderMail({
    service,
    subject: 'Choose a new password',
    preview: `The link to choose a new password for ${service} works once, for ${lifetime}.`,
    blocks: [
      { kind: 'paragraph', text: `Hello ${quoteName(name)},` },
      {
        kind: 'paragraph',
        text: `Someone, probably you, has asked for a new password for your ${service} account.`,
      },
      ...linkBlocks(
        facts,
        'Choose a new password',
        `The link works once, for ${lifetime}, until ${utcTime(facts.expiresAt)}. You will be logged out everywhere.`,
      ),
      {
        kind: 'aside',
        title: 'If it was not you',
        text: 'You do not need to do anything: your password stays the same. Please do not forward this mail: whoever has the link can set your password.',
      },
    ],
    footer: `Sent by ${service} because a new password was requested.`,
  });
}

/** For somebody who registered, never confirmed, and forgot the password: the link does both. */
export function renderFirstPasswordMail(facts: LinkMailFacts): RenderedMail {
  const { service, expiresAt } = facts;
  const lifetime = lifetimeOf(facts);
  return renderMail({
    service,
    subject: 'Choose a password and confirm your address',
    preview: `The link to choose a password for ${service} works once, for ${lifetime}.`,
    blocks: [
      {
        kind: 'paragraph',
        text: `Someone, probably you, has asked for a new password at ${service}. This e-mail address is registered but not confirmed yet: the link sets a password and confirms the address.`,
      },
      ...linkBlocks(
        facts,
        'Choose a password',
        `The link works once, for ${lifetime}, until ${utcTime(expiresAt)}.`,
      ),
      {
        kind: 'aside',
        title: 'If it was not you',
        text: 'You do not need to do anything: unless it is confirmed, the account cannot be used. Please do not forward this mail: whoever has the link can set the password.',
      },
    ],
    footer: `Sent by ${service} because a new password was requested.`,
  });
}

export interface AccountExistsMailFacts {
  readonly service: string;
  readonly name: string;
  readonly publicUrl: string;
}

/** Tells the owner of an account that somebody tried to register or confirm its address, or to use it for another account. */
export function renderAccountExistsMail({
  service,
  name,
  publicUrl,
}: AccountExistsMailFacts): RenderedMail {
  return renderMail({
    service,
    subject: 'You already have an account',
    preview: `Someone, probably you, tried to use this address at ${service} again. You already have an account.`,
    blocks: [
      { kind: 'paragraph', text: `Hello ${quoteName(name)},` },
      {
        kind: 'paragraph',
        text: `Someone, probably you, has just tried to register at ${service} with this e-mail address, to confirm it, or to use it for another account. You already have an account: log in with this address and the password that you chose for it.`,
      },
      { kind: 'address', label: `${service} is at:`, url: publicUrl },
      {
        kind: 'aside',
        title: 'If it was not you',
        text: 'You do not need to do anything. Your account and your password are unchanged, and nobody gains access by entering your address.',
      },
    ],
    footer: `Sent by ${service} because someone entered your address.`,
  });
}
