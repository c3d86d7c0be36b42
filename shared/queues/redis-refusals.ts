const CLUSTER = 'a cluster: not supported, use a single shard';

/** What Redis's error codes mean for an operator. */
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
/** The error code. Older versions put it behind a prefix about the script. */
const CODE = /(?:^|\s-)(?!ERR\b)([A-Z]+)\b/;

/** A Redis that answers but cannot hold the queues. */
export class UnsupportedRedis extends Error {
  override readonly name = 'UnsupportedRedis';
  constructor() {
    super(`it is ${CLUSTER}`);
  }
}

/** Redis's answer to a connection that it does not take. */
export class RefusedConnection extends Error {
  override readonly name = 'RefusedConnection';
}

/** True for an error that Redis itself answered, as opposed to a lost connection. */
export const isRefusal = (error: unknown): error is Error =>
  error instanceof Error &&
  (error.name === 'ReplyError' ||
    error instanceof UnsupportedRedis ||
    error instanceof RefusedConnection);

/** What Redis before 7.2 makes of a missing right within a script, up to 6.2 behind a prefix about the script. */
const NO_RIGHT_IN_SCRIPT = /(?:^|^ERR |: )The user executing the script can't (?:run|access)\b/;

/** Redis has no code for it. */
const AT_MAX_CLIENTS = /^ERR max number of clients\b/;

/** Redis's error code, such as `OOM` or `MOVED`; `ERR` when there is none. */
export const refusalCode = ({ message }: Error): string =>
  NO_RIGHT_IN_SCRIPT.test(message) ? 'NOPERM' : (CODE.exec(message)?.[1] ?? 'ERR');

/** True when a key holds another type of data than it should. */
export const isWrongType = (error: unknown): boolean =>
  isRefusal(error) && refusalCode(error) === 'WRONGTYPE';

/** What a reachable Redis refuses to do. */
export interface RedisRefusal {
  readonly kind: 'refuses_commands' | 'out_of_memory';
  /** In words for an operator. */
  readonly problem: string;
}

/** Undefined when the error is not Redis's answer. */
export function refusalOfRedis(error: unknown): RedisRefusal | undefined {
  if (!isRefusal(error)) return undefined;
  if (error instanceof UnsupportedRedis)
    return { kind: 'refuses_commands', problem: `is ${CLUSTER}` };
  const code = refusalCode(error);
  const meaning = AT_MAX_CLIENTS.test(error.message) ? 'maxclients is reached' : MEANINGS[code];
  return {
    kind: code === 'OOM' ? 'out_of_memory' : 'refuses_commands',
    problem: `refuses commands: ${code}${meaning === undefined ? '' : ` (${meaning})`}`,
  };
}
