import { logOutEverywhere } from '../api/sessions/sessions.service.js';
import { onlyArgument, type CommandResult, type Arguments, type Command } from './command.js';
import { causeOfCommand, readAddress, refuseUnknownAdmin, withTools } from './tools.js';

/** The sessions of an admin. */
export const sessionCommands: readonly Command[] = [
  {
    name: 'sessions end',
    usage: 'ADDRESS',
    summary: 'ends all sessions of an admin',
    run: end,
  },
];

async function end(args: Arguments): Promise<CommandResult> {
  const email = readAddress(onlyArgument(args, 'address'));
  return withTools(args, async (tools) => {
    const ended = await logOutEverywhere(
      tools,
      { emailCanonical: email.canonical },
      causeOfCommand(),
    ).catch(refuseUnknownAdmin);
    const text =
      ended === 0
        ? `${email.address} was not logged in`
        : `${ended} ${ended === 1 ? 'session' : 'sessions'} of ${email.address} ended`;
    return { lines: [text], facts: { email: email.address, ended } };
  });
}
