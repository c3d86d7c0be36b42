import { setOperator } from '../../api/admins/admins.service.js';
import type { CommandResult, Arguments, Command } from '../command.js';
import {
  causeOfCommand,
  readAddress,
  reasonOption,
  refuseUnknownAdmin,
  withTools,
} from '../tools.js';

/** The operator role. */
export const operatorCommands: readonly Command[] = [
  {
    name: 'operator grant',
    arguments: [{ name: 'EMAIL', summary: 'the address of the admin' }],
    options: [reasonOption],
    summary: 'makes a confirmed admin an operator',
    run: (args) => setRole(args, true),
  },
  {
    name: 'operator revoke',
    arguments: [{ name: 'EMAIL', summary: 'the address of the admin' }],
    options: [reasonOption],
    summary: 'revokes the operator role',
    run: (args) => setRole(args, false),
  },
];

async function setRole(args: Arguments, isOperator: boolean): Promise<CommandResult> {
  const email = readAddress(args.words[0] ?? '');
  return withTools(args, async (tools) => {
    if (!isOperator && tools.operatorEmails.includes(email.canonical))
      throw new Error(
        `${email.address} is an operator because of OPERATOR_EMAILS: remove it there`,
      );
    const changed = await setOperator(tools, email, isOperator, causeOfCommand(args)).catch(
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
