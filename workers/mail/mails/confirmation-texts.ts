import { renderMail, type RenderedMail } from './layout.js';
import { lifetimeOf, linkBlocks, quoteName, utcTime, type LinkMailFacts } from './wording.js';

/** Asks the owner of an address whether it is theirs. Repeats nothing that was registered: a stranger may have entered it. */
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

/** Asks the owner of the new address whether it is theirs. */
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
        text: `The ${service} account “${quoteName(name)}” is to use this e-mail address from now on. If that is what you want, please confirm that the address is yours: follow the link, and enter the password of the account.`,
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

export function renderPasswordResetMail(facts: LinkMailFacts): RenderedMail {
  const { service, name } = facts;
  const lifetime = lifetimeOf(facts);
  return renderMail({
    service,
    subject: 'Choose a new password',
    preview: `The link to choose a new password for ${service} works for ${lifetime}, and once.`,
    blocks: [
      { kind: 'paragraph', text: `Hello ${quoteName(name)},` },
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

/** For somebody who registered, never confirmed, and forgot the password: the link does both. */
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

export interface AccountExistsMailFacts {
  readonly service: string;
  readonly name: string;
  readonly publicUrl: string;
}

/** Tells the owner of an account that somebody tried to use its address for another one. */
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
      { kind: 'paragraph', text: `Hello ${quoteName(name)},` },
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
