import { literal, Op } from 'sequelize';
import { Admin } from '../../shared/models/index.js';
import type { RoleOf } from './admins.views.js';

/** Which admins a listing wants. */
export interface AdminQuery {
  readonly limit: number;
  /** Only admins with a greater id. */
  readonly after: number;
  /** Only admins with a live session. */
  readonly loggedIn: boolean;
}

/** Looking at admins. */
export type AdminsService = ReturnType<typeof createAdminsService>;

const HAS_LIVE_SESSION = literal(
  'exists (select from sessions s where s.admin_id = "Admin".id and s.ended_at is null and s.expires_at > now())',
);

export function createAdminsService(roleOf: RoleOf) {
  /** All admins for an operator, oldest first; itself for any other admin. */
  async function list(asker: Admin, { limit, after, loggedIn }: AdminQuery): Promise<Admin[]> {
    const isOperator = roleOf(asker) === 'operator';
    const id = isOperator ? { [Op.gt]: after } : { [Op.gt]: after, [Op.eq]: asker.id };
    return Admin.findAll({
      where: { id, ...(loggedIn && { [Op.and]: HAS_LIVE_SESSION }) },
      order: [['id', 'ASC']],
      limit,
    });
  }

  return { list };
}
