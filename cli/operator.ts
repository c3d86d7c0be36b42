import { setOperator } from '../api/admins/admins.service.js';
import { onlyArgument, type CommandResult, type Arguments, type Command } from './command.js';
import { causeOfCommand, readAddress, refuseUnknownAdmin, withTools } from './tools.js';

/** The operator role. */
export const operatorCommands: readonly Command[] = [
  {
    name: 'operator grant',
    usage: 'EMAIL',
    summary: 'makes a confirmed admin an operator',
    run: (args) => setRole(args, true),
  },
  {
    name: 'operator revoke',
    usage: 'EMAIL',
    summary: 'revokes the operator role',
    run: (args) => setRole(args, false),
  },
];

async function setRole(args: Arguments, isOperator: boolean): Promise<CommandResult> {
  const email = readAddress(onlyArgument(args, 'address'));
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
