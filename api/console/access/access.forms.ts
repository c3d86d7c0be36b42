import * as z from 'zod';
import { EmailInput } from '../../http/input/inputs.js';
import { knownPassword } from '../../passwords/passwords.schemas.js';

/** Where to go on after the login, as a link or an alert had it. */
const next = z.string().max(1_024).optional();

export const LoginQuery = z.object({ next });

export const ConsoleLogin = z.strictObject({ email: EmailInput, password: knownPassword, next });

/** A form without fields. */
export const NoFields = z.strictObject({});
