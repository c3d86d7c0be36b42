import type { ModelCtor } from 'sequelize-typescript';
import type { Database, DatabaseConfig } from '../../shared/database/connect.js';

/** One pool's part in the models of this process. */
export interface ModelsShare {
  /** Call it with the pool once that is open. */
  opened(database: Database): void;
  /** Call it before the pool closes: from then on the models ask another like it, if one is open. */
  leave(): void;
}

interface Share {
  readonly settings: string;
  readonly isOfServer: boolean;
  database?: Database;
}

const shares = new Set<Share>();

/** True while a server runs in this process: another pool must not take its models. */
export const isServerHere = (): boolean => [...shares].some(({ isOfServer }) => isOfServer);

/**
 * Models ask the pool that was opened last in their process, whichever it was meant to be. So while a server runs in it,
 * all pools that are open there must be alike but for their size: call this before a pool is opened.
 * @throws when one with other settings is open; then one of the two needs a process of its own.
 */
export function shareModels(config: DatabaseConfig, of: 'a server' | 'a test'): ModelsShare {
  const settings = JSON.stringify({ ...config, poolMax: undefined });
  const share: Share = { settings, isOfServer: of === 'a server' };
  for (const other of shares) {
    if (other.settings !== share.settings && (other.isOfServer || share.isOfServer))
      throw new Error(
        'the models would ask another pool than they should: start the server in a process of its own',
      );
  }
  shares.add(share);
  return {
    opened: (database) => void (share.database = database),
    leave() {
      if (!shares.delete(share)) return;
      const alike = [...shares].filter((other) => other.settings === share.settings);
      const [database] = alike.flatMap((other) => other.database ?? []);
      database?.addModels(Object.values(database.models) as ModelCtor[]);
    },
  };
}
