import type {
  CreationOptional,
  InferAttributes,
  InferCreationAttributes,
  NonAttribute,
} from 'sequelize';
import { BelongsTo, Column, DataType, ForeignKey, Model, Table } from 'sequelize-typescript';
import { Admin } from './admin.js';
import { CreatedAtColumn, IdentityKey } from './columns.js';

/** Why a session ended before its time. */
export type SessionEnd = 'logout' | 'revoked' | 'reuse' | 'password';

/** The admin who asks, and by which session. */
export interface Principal {
  readonly admin: Admin;
  readonly sessionId: number;
}

/** One login of one admin. Both of its tokens are dead as soon as `endedAt` is set. */
@Table({ tableName: 'sessions', underscored: true, updatedAt: false })
export class Session extends Model<InferAttributes<Session>, InferCreationAttributes<Session>> {
  @IdentityKey
  declare id: CreationOptional<number>;

  @ForeignKey(() => Admin)
  @Column({ type: DataType.INTEGER, allowNull: false })
  declare adminId: number;

  @BelongsTo(() => Admin)
  declare admin?: NonAttribute<Admin>;

  /** Makes this session's refresh tokens its own; worthless without the key that they are derived with. */
  @Column({ type: DataType.BLOB, allowNull: false })
  declare refreshNonce: Buffer;

  /** Counts the refresh tokens that this session has had. */
  @Column({ type: DataType.INTEGER, allowNull: false, defaultValue: 0 })
  declare refreshGeneration: CreationOptional<number>;

  /** The newest generation whose access token has been presented. The first replaces none, so it is not tracked. */
  @Column({ type: DataType.INTEGER, allowNull: false, defaultValue: 0 })
  declare usedGeneration: CreationOptional<number>;

  /** SHA-256 of the refresh token that is good now. */
  @Column({ type: DataType.BLOB, allowNull: false })
  declare refreshHash: Buffer;

  @Column(DataType.TEXT)
  declare ip: CreationOptional<string | null>;

  /** The network that `ip` is in; a login from a known network is trusted with more tries. */
  @Column(DataType.TEXT)
  declare network: CreationOptional<string | null>;

  @Column(DataType.TEXT)
  declare userAgent: CreationOptional<string | null>;

  @CreatedAtColumn
  declare createdAt: CreationOptional<Date>;

  @Column({ type: DataType.DATE, allowNull: false, defaultValue: DataType.NOW })
  declare lastUsedAt: CreationOptional<Date>;

  @Column({ type: DataType.DATE, allowNull: false })
  declare expiresAt: Date;

  /** When the refresh token was last exchanged for its successor. */
  @Column(DataType.DATE)
  declare rotatedAt: CreationOptional<Date | null>;

  /** When the refresh tokens before that one were exchanged, the newest first, as long as it was a moment ago. */
  @Column({ type: DataType.ARRAY(DataType.DATE), allowNull: false, defaultValue: [] })
  declare earlierRotations: CreationOptional<Date[]>;

  @Column(DataType.DATE)
  declare endedAt: CreationOptional<Date | null>;

  /** `reuse`: somebody presented a refresh token that had been exchanged before. `password`: it was changed. */
  @Column(DataType.TEXT)
  declare endedReason: CreationOptional<SessionEnd | null>;
}
