/** Mails that hold a link, to one address, whoever asks for them: those who register and then forget the password stay below. */
export const MAX_LINKS_PER_HOUR = 6;

/** A limit multiplied by `RATE_LIMIT_SCALE`; at least 1. */
export const scaledLimit = (limit: number, scale: number): number =>
  Math.max(1, Math.floor(limit * scale));
