import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';

/** An admin as a mail addresses it. */
export interface MailOwner {
  readonly name: string;
  /** The address that the account has now. */
  readonly email: string;
}

/** The admin with this id, or `undefined` when it is gone. */
export async function loadMailOwner(
  database: Database,
  id: number,
): Promise<MailOwner | undefined> {
  const [row] = await database.query<MailOwner>('select name, email from admins where id = $id', {
    type: QueryTypes.SELECT,
    bind: { id },
  });
  return row;
}
