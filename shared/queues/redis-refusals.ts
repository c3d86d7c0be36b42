const CLUSTER = 'a cluster: not supported, use a single shard';

/** What Redis's own words for a refusal mean to whoever has to mend it. */
const MEANINGS: Readonly<Record<string, string>> = {
  ASK: CLUSTER,
  BUSY: 'a script runs for too long',
  CLUSTERDOWN: CLUSTER,
  CROSSSLOT: CLUSTER,
  LOADING: 'it loads its data',
  MASTERDOWN: 'a replica without its primary',
  MISCONF: 'it cannot save to its disk',
  MOVED: CLUSTER,
  NOAUTH: 'it wants a password',
  NOPERM: 'the user lacks rights',
  NOREPLICAS: 'it has too few replicas',
  OOM: 'it has no memory left',
  READONLY: 'a replica',
  TRYAGAIN: CLUSTER,
  WRONGPASS: 'the password is wrong',
};
/** Older ones put it behind a word about the script. */
const CODE = /(?:^|\s-)(?!ERR\b)([A-Z]+)\b/;

/** A Redis that answers and that the queues cannot live in. */
export class UnsupportedRedis extends Error {
  override readonly name = 'UnsupportedRedis';
  constructor() {
    super(`it is ${CLUSTER}`);
  }
}

/** True for an answer of Redis's own that refuses a command, as opposed to a connection that is gone. */
export const isRefusal = (error: unknown): error is Error =>
  error instanceof Error && (error.name === 'ReplyError' || error instanceof UnsupportedRedis);

/** Redis's word for why it refuses, such as `OOM` or `MOVED`; `ERR` when it has none. */
export const refusalCode = ({ message }: Error): string => CODE.exec(message)?.[1] ?? 'ERR';

/** True when a key holds another type of data than it should. */
export const isWrongType = (error: unknown): boolean =>
  isRefusal(error) && refusalCode(error) === 'WRONGTYPE';

/** What a Redis that was reached does not do, for an operator; undefined when it was not it that answered. */
export function refusalOfRedis(error: unknown): string | undefined {
  if (!isRefusal(error)) return undefined;
  if (error instanceof UnsupportedRedis) return `is ${CLUSTER}`;
  const code = refusalCode(error);
  const meaning = MEANINGS[code];
  return `refuses commands: ${code}${meaning === undefined ? '' : ` (${meaning})`}`;
}
