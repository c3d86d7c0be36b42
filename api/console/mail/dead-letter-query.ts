import type * as z from 'zod';
import type { DeadLetterFilter } from '../../ops/mail/dead-letter-filter.service.js';
import type { DeadQuery } from './mail.forms.js';

type Fields = Omit<z.output<typeof DeadQuery>, 'cursor'>;

/** The filter without the fields that are not given. */
export const filterOf = ({
  state,
  cause,
  mail,
  recipient,
  since,
  until,
}: Fields): DeadLetterFilter => ({
  state,
  ...(cause !== undefined && { cause }),
  ...(mail !== undefined && { mail }),
  ...(recipient !== undefined && { recipient }),
  ...(since && { since }),
  ...(until && { until }),
});
