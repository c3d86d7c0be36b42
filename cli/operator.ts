import { createOperatorsService } from '../api/admins/operators.service.js';
import { onlyWord, type Answer, type Arguments, type Command } from './command.js';
import { causeOfCommand, readAddress, refuseUnknownAdmin, withTools } from './tools.js';

/** Who looks after the service. */
export const operatorCommands: readonly Command[] = [
  {
    name: 'operator grant',
    takes: 'EMAIL',
    does: 'makes a confirmed admin an operator',
    run: (args) => setOperator(args, true),
  },
  {
    name: 'operator revoke',
    takes: 'EMAIL',
    does: 'takes the role back',
    run: (args) => setOperator(args, false),
  },
];

async function setOperator(args: Arguments, isOperator: boolean): Promise<Answer> {
  const email = readAddress(onlyWord(args, 'address'));
  return withTools(args, async (tools) => {
    const changed = await createOperatorsService(tools)
      .setOperator(email, isOperator, causeOfCommand())
      .catch(refuseUnknownAdmin);
    const role = isOperator ? 'operator' : 'admin';
    const state = changed ? 'is now' : 'is already';
    return {
      lines: [`${email.address} ${state} an ${role}`],
      facts: { email: email.address, role, changed },
    };
  });
}
