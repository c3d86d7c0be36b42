import type { TestContext } from './context.js';

/** Lets time pass since the refresh tokens of an admin's sessions were exchanged. */
export async function ageRotations(
  context: TestContext,
  adminId: number,
  seconds: number,
): Promise<void> {
  await context.rows(
    `update sessions
        set rotated_at = rotated_at - $2 * interval '1 second',
            earlier_rotations = array(
              select at - $2 * interval '1 second' from unnest(earlier_rotations) with ordinality as r (at, n) order by n)
      where admin_id = $1`,
    [adminId, seconds],
  );
}
