import { logOutEverywhere } from '../../api/sessions/sessions.service.js';
import type { CommandResult, Arguments, Command } from '../command.js';
import { countText } from '../text.js';
import {
  causeOfCommand,
  readAddress,
  reasonOption,
  refuseUnknownAdmin,
  withTools,
} from '../tools.js';

/** The sessions of an admin. */
export const sessionCommands: readonly Command[] = [
  {
    name: 'sessions end',
    arguments: [{ name: 'ADDRESS', summary: 'the address of the admin' }],
    options: [reasonOption],
    summary: 'ends all sessions of an admin',
    run: end,
  },
];

async function end(args: Arguments): Promise<CommandResult> {
  const email = readAddress(args.words[0] ?? '');
  return withTools(args, async (tools) => {
    const ended = await logOutEverywhere(
      tools,
      { emailCanonical: email.canonical },
      causeOfCommand(args),
    ).catch(refuseUnknownAdmin);
    const text =
      ended === 0
        ? `${email.address} was not logged in`
        : `${countText(ended, 'session')} of ${email.address} ended`;
    return { lines: [text], facts: { email: email.address, ended } };
  });
}
