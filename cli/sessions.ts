import { logOutEverywhere } from '../api/sessions/sessions.service.js';
import { onlyWord, type Answer, type Arguments, type Command } from './command.js';
import { causeOfCommand, readAddress, refuseUnknownAdmin, withTools } from './tools.js';

/** Who is logged in. */
export const sessionCommands: readonly Command[] = [
  {
    name: 'sessions end',
    takes: 'ADDRESS',
    does: 'logs an admin out everywhere',
    run: end,
  },
];

async function end(args: Arguments): Promise<Answer> {
  const email = readAddress(onlyWord(args, 'address'));
  return withTools(args, async (tools) => {
    const ended = await logOutEverywhere(tools, email, causeOfCommand()).catch(refuseUnknownAdmin);
    const text =
      ended === 0
        ? `${email.address} was not logged in`
        : `${ended} ${ended === 1 ? 'session' : 'sessions'} of ${email.address} ended`;
    return { lines: [text], facts: { email: email.address, ended } };
  });
}
