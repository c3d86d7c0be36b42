import type { Command } from '../command.js';
import { adminCommands } from './admins.js';
import { auditCommands } from './audit.js';
import { completionCommand } from './completion.js';
import { doctorCommands } from './doctor.js';
import { logCommands } from './logs.js';
import { mailCommands } from './mail.js';
import { operatorCommands } from './operator.js';
import { queueCommands } from './queues.js';
import { scheduleCommands } from './schedule.js';
import { sessionCommands } from './sessions.js';
import { stateCommands } from './state.js';
import { userCommands } from './users.js';

/** The commands that a shell completes: all but that of completion itself. */
export const completableCommands: readonly Command[] = [
  ...mailCommands,
  ...stateCommands,
  ...queueCommands,
  ...doctorCommands,
  ...scheduleCommands,
  ...adminCommands,
  ...userCommands,
  ...operatorCommands,
  ...sessionCommands,
  ...auditCommands,
  ...logCommands,
];

/** Every command, in the order of the help. */
export const commands: readonly Command[] = [...completableCommands, completionCommand];
