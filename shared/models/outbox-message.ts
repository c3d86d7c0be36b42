import type { CreationOptional, InferAttributes, InferCreationAttributes } from 'sequelize';
import { Column, DataType, ForeignKey, Model, Table } from './sequelize-typescript.js';
import { Admin } from './admin.js';
import { CreatedAtColumn, TimeColumn, UuidKey } from './columns.js';

/**
 * Work promised by a committed transaction. The row is the source of truth; its job in Redis can be lost and is then
 * recreated from the row.
 *
 * pending → enqueued (its job is in Redis) → settled (done, or obsolete), dead (dead-lettered) or uncertain (perhaps sent:
 * the content was transmitted and no answer came). An operator decides about dead and uncertain ones.
 */
@Table({ tableName: 'outbox', underscored: true, updatedAt: false })
export class OutboxMessage extends Model<
  InferAttributes<OutboxMessage>,
  InferCreationAttributes<OutboxMessage>
> {
  @UuidKey
  declare id: string;

  /** Name of the mail's contract, which the payload follows. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare name: string;

  /** Ids, and for a security notice its kind; no address and no token. */
  @Column({ type: DataType.JSONB, allowNull: false })
  declare payload: Record<string, unknown>;

  /** The admin whom it concerns. */
  @ForeignKey(() => Admin)
  @Column(DataType.INTEGER)
  declare adminId: number | null;

  /** The address at commit time: a notice is sent there even if the account's address has changed since. */
  @Column(DataType.TEXT)
  declare recipient: CreationOptional<string | null>;

  /** The mail template, once a worker has chosen it. */
  @Column(DataType.TEXT)
  declare template: CreationOptional<string | null>;

  /** Id of the request that caused it, as in logs and audit events. */
  @Column(DataType.TEXT)
  declare requestId: CreationOptional<string | null>;

  /** The server's own id of that request (W3C Trace Context, parent-id); clients cannot choose it. */
  @Column(DataType.TEXT)
  declare spanId: CreationOptional<string | null>;

  /** False when the client does not want the request to be traced. */
  @Column({ type: DataType.BOOLEAN, allowNull: false, defaultValue: true })
  declare isSampled: CreationOptional<boolean>;

  /** Trace id (W3C Trace Context): one id for the request and its mail. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare traceId: string;

  /** Part of the job's id; incremented when Redis would refuse a new job under the old id. */
  @Column({ type: DataType.INTEGER, allowNull: false, defaultValue: 0 })
  declare generation: CreationOptional<number>;

  @Column({ type: DataType.TEXT, allowNull: false, defaultValue: 'pending' })
  declare state: CreationOptional<'pending' | 'enqueued' | 'settled' | 'dead' | 'uncertain'>;

  /** How it was settled: `sent`, `obsolete` (no longer needed), or `discarded` by an operator. */
  @Column(DataType.TEXT)
  declare outcome: CreationOptional<'sent' | 'obsolete' | 'discarded' | null>;

  @CreatedAtColumn
  declare createdAt: CreationOptional<Date>;

  @TimeColumn
  declare availableAt: CreationOptional<Date>;

  @Column(DataType.DATE)
  declare enqueuedAt: CreationOptional<Date | null>;

  @Column({ type: DataType.INTEGER, allowNull: false, defaultValue: 0 })
  declare enqueueCount: CreationOptional<number>;

  /** When the sweep last found this message's job. */
  @Column(DataType.DATE)
  declare checkedAt: CreationOptional<Date | null>;

  /** End of a worker's claim, by the database's clock. */
  @Column(DataType.DATE)
  declare claimedUntil: CreationOptional<Date | null>;

  @Column({ type: DataType.INTEGER, allowNull: false, defaultValue: 0 })
  declare attempts: CreationOptional<number>;

  /** How often the content was transmitted and no answer came; a redrive resets it. */
  @Column({ type: DataType.INTEGER, allowNull: false, defaultValue: 0 })
  declare unanswered: CreationOptional<number>;

  /** How often operators have redriven it. */
  @Column({ type: DataType.INTEGER, allowNull: false, defaultValue: 0 })
  declare redrives: CreationOptional<number>;

  /** When it last became dead or uncertain. */
  @Column(DataType.DATE)
  declare givenUpAt: CreationOptional<Date | null>;

  @Column(DataType.DATE)
  declare settledAt: CreationOptional<Date | null>;

  @Column(DataType.TEXT)
  declare lastError: CreationOptional<string | null>;
}
