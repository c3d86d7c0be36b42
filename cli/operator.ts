import { setOperator } from '../api/admins/admins.service.js';
import { onlyWord, type Answer, type Arguments, type Command } from './command.js';
import { causeOfCommand, readAddress, refuseUnknownAdmin, withTools } from './tools.js';

/** Who looks after the service. */
export const operatorCommands: readonly Command[] = [
  {
    name: 'operator grant',
    takes: 'EMAIL',
    does: 'makes a confirmed admin an operator',
    run: (args) => setRole(args, true),
  },
  {
    name: 'operator revoke',
    takes: 'EMAIL',
    does: 'takes the role back',
    run: (args) => setRole(args, false),
  },
];

async function setRole(args: Arguments, isOperator: boolean): Promise<Answer> {
  const email = readAddress(onlyWord(args, 'address'));
  return withTools(args, async (tools) => {
    const changed = await setOperator(tools, email, isOperator, causeOfCommand()).catch(
      refuseUnknownAdmin,
    );
    const role = isOperator ? 'operator' : 'admin';
    const state = changed ? 'is now' : 'is already';
    return {
      lines: [`${email.address} ${state} an ${role}`],
      facts: { email: email.address, role, changed },
    };
  });
}
