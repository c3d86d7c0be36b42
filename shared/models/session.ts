import type { CreationOptional, InferAttributes, InferCreationAttributes } from 'sequelize';
import { Column, DataType, ForeignKey, Model, Table } from './sequelize-typescript.js';
import { Admin, type AdminRow } from './admin.js';
import { CreatedAtColumn, IdentityKey, TimeColumn } from './columns.js';

/** Why a session ended before its time. */
export type SessionEnd = 'logout' | 'revoked' | 'reuse' | 'password' | 'excess';

/** The authenticated admin of a request, and its session. */
export interface Principal {
  readonly admin: AdminRow;
  readonly sessionId: number;
}

/** One login of one admin. Setting `endedAt` revokes both of its tokens. */
@Table({ tableName: 'sessions', underscored: true, updatedAt: false })
export class Session extends Model<InferAttributes<Session>, InferCreationAttributes<Session>> {
  @IdentityKey
  declare id: CreationOptional<number>;

  @ForeignKey(() => Admin)
  @Column({ type: DataType.INTEGER, allowNull: false })
  declare adminId: number;

  /** Input of this session's refresh tokens; useless without the key that they are derived with. */
  @Column({ type: DataType.BLOB, allowNull: false })
  declare refreshNonce: Buffer;

  /** Number of the current refresh token. */
  @Column({ type: DataType.INTEGER, allowNull: false, defaultValue: 0 })
  declare refreshGeneration: CreationOptional<number>;

  /** The newest generation whose access token has been presented. Generation 0 replaces none, so it is not tracked. */
  @Column({ type: DataType.INTEGER, allowNull: false, defaultValue: 0 })
  declare usedGeneration: CreationOptional<number>;

  /** SHA-256 of the current refresh token. */
  @Column({ type: DataType.BLOB, allowNull: false })
  declare refreshHash: Buffer;

  @Column(DataType.TEXT)
  declare ip: CreationOptional<string | null>;

  /** The network of `ip`: logins from a known network get a higher rate limit. */
  @Column(DataType.TEXT)
  declare network: CreationOptional<string | null>;

  @Column(DataType.TEXT)
  declare userAgent: CreationOptional<string | null>;

  @CreatedAtColumn
  declare createdAt: CreationOptional<Date>;

  @TimeColumn
  declare lastUsedAt: CreationOptional<Date>;

  @Column({ type: DataType.DATE, allowNull: false })
  declare expiresAt: Date;

  /** When the refresh token was last rotated. */
  @Column(DataType.DATE)
  declare rotatedAt: CreationOptional<Date | null>;

  /** Times of the rotations before that, newest first; only recent ones are kept. */
  @Column({ type: DataType.ARRAY(DataType.DATE), allowNull: false, defaultValue: [] })
  declare earlierRotations: CreationOptional<Date[]>;

  @Column(DataType.DATE)
  declare endedAt: CreationOptional<Date | null>;

  /**
   * `reuse`: a refresh token was presented again after its rotation. `password`: the password was changed. `excess`: newer
   * logins of the admin have taken its place.
   */
  @Column(DataType.TEXT)
  declare endedReason: CreationOptional<SessionEnd | null>;

  /** SHA-256 of the console's cookie; null for a session of the API. */
  @Column(DataType.BLOB)
  declare consoleHash: CreationOptional<Buffer | null>;

  /** The last request of the console, to the minute: an idle session of the console ends. */
  @Column(DataType.DATE)
  declare consoleSeenAt: CreationOptional<Date | null>;
}
