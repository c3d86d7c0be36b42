import { Op } from 'sequelize';
import type { Transaction } from '../../shared/database/transaction.js';
import { Session, type SessionEnd } from '../../shared/models/index.js';

/** Which sessions are live: neither ended nor expired. */
export const live = () => ({ endedAt: null, expiresAt: { [Op.gt]: new Date() } });

/** One session, one of an admin's, all of an admin's, or all but the one that asks. */
export type WhichSessions = { id: number; adminId?: number } | { adminId: number; except?: number };

/** Ends live sessions: their tokens are dead at once, on every instance. Resolves to how many there were. */
export async function endSessions(
  which: WhichSessions,
  endedReason: SessionEnd,
  tx?: Transaction,
): Promise<number> {
  const where =
    'except' in which ? { adminId: which.adminId, id: { [Op.ne]: which.except } } : { ...which };
  const [count] = await Session.update(
    { endedAt: new Date(), endedReason },
    { where: { ...live(), ...where }, ...(tx && { transaction: tx }) },
  );
  return count;
}
