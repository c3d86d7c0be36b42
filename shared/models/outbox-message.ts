import type { CreationOptional, InferAttributes, InferCreationAttributes } from 'sequelize';
import { Column, DataType, ForeignKey, Model, Table } from 'sequelize-typescript';
import { Admin } from './admin.js';
import { CreatedAtColumn, UuidKey } from './columns.js';

/**
 * Work that a committed transaction has promised. The row is the truth, a job in Redis is only its errand boy:
 * a job that Redis lost is made again from here.
 *
 * pending → enqueued (its job is in Redis) → settled (done, or no longer wanted), dead (given up) or uncertain (perhaps
 * sent: its content was handed over and no answer came). Of the last two an operator decides what becomes.
 */
@Table({ tableName: 'outbox', underscored: true, updatedAt: false })
export class OutboxMessage extends Model<
  InferAttributes<OutboxMessage>,
  InferCreationAttributes<OutboxMessage>
> {
  @UuidKey
  declare id: string;

  /** The job contract by which the payload is read. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare name: string;

  /** Ids only. */
  @Column({ type: DataType.JSONB, allowNull: false })
  declare payload: Record<string, unknown>;

  /** Whom it concerns. */
  @ForeignKey(() => Admin)
  @Column(DataType.INTEGER)
  declare adminId: number | null;

  /** The address that the mail was promised to: a notice goes there even if the account has another one by then. */
  @Column(DataType.TEXT)
  declare recipient: CreationOptional<string | null>;

  /** Which mail was made of it, once a worker has decided that. */
  @Column(DataType.TEXT)
  declare template: CreationOptional<string | null>;

  /** The request that caused it, as logs and audit name it. */
  @Column(DataType.TEXT)
  declare requestId: CreationOptional<string | null>;

  /** The server's own id of that request (W3C Trace Context, parent-id), whatever ids its client chose. */
  @Column(DataType.TEXT)
  declare spanId: CreationOptional<string | null>;

  /** The trace that the cause belongs to (W3C Trace Context), so that one id leads from request to mail. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare traceId: string;

  /** Part of the job's id; raised to make a job that Redis refuses to take under its old id. */
  @Column({ type: DataType.INTEGER, allowNull: false, defaultValue: 0 })
  declare generation: CreationOptional<number>;

  @Column({ type: DataType.TEXT, allowNull: false, defaultValue: 'pending' })
  declare state: CreationOptional<'pending' | 'enqueued' | 'settled' | 'dead' | 'uncertain'>;

  /** How a settled message ended: `sent`, `obsolete` when nobody needed it any more, `discarded` by an operator. */
  @Column(DataType.TEXT)
  declare outcome: CreationOptional<'sent' | 'obsolete' | 'discarded' | null>;

  @CreatedAtColumn
  declare createdAt: CreationOptional<Date>;

  @Column({ type: DataType.DATE, allowNull: false, defaultValue: DataType.NOW })
  declare availableAt: CreationOptional<Date>;

  @Column(DataType.DATE)
  declare enqueuedAt: CreationOptional<Date | null>;

  @Column({ type: DataType.INTEGER, allowNull: false, defaultValue: 0 })
  declare enqueueCount: CreationOptional<number>;

  /** When the sweep last saw this message's job. */
  @Column(DataType.DATE)
  declare checkedAt: CreationOptional<Date | null>;

  /** A worker has claimed the message until then; database time. */
  @Column(DataType.DATE)
  declare claimedUntil: CreationOptional<Date | null>;

  @Column({ type: DataType.INTEGER, allowNull: false, defaultValue: 0 })
  declare attempts: CreationOptional<number>;

  /** How often the content was handed to a mail server of which no answer is known; an operator's redrive starts anew. */
  @Column({ type: DataType.INTEGER, allowNull: false, defaultValue: 0 })
  declare unanswered: CreationOptional<number>;

  @Column(DataType.DATE)
  declare settledAt: CreationOptional<Date | null>;

  @Column(DataType.TEXT)
  declare lastError: CreationOptional<string | null>;
}
