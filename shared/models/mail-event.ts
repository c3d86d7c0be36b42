import type { CreationOptional, InferAttributes, InferCreationAttributes } from 'sequelize';
import { Column, DataType, ForeignKey, Model, Table } from 'sequelize-typescript';
import { OutboxMessage } from './outbox-message.js';
import { CreatedAtColumn, UuidKey } from './columns.js';

/** What the mail provider can tell about a mail that it has taken. */
export type MailEventType = 'delivered' | 'bounced' | 'complained' | 'delayed' | 'rejected';

/**
 * What became of a mail after the server had taken it. An event may come twice, by the same queue message or by another
 * with the same content: `messageId` and `fingerprint` let it count once.
 */
@Table({ tableName: 'mail_events', underscored: true, createdAt: 'receivedAt', updatedAt: false })
export class MailEvent extends Model<
  InferAttributes<MailEvent>,
  InferCreationAttributes<MailEvent>
> {
  @UuidKey
  declare id: string;

  /** Empty when no mail of ours is known by what the event names. */
  @ForeignKey(() => OutboxMessage)
  @Column(DataType.UUID)
  declare outboxId: string | null;

  /** The id under which the provider took the mail. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare providerId: string;

  @Column({ type: DataType.TEXT, allowNull: false })
  declare type: MailEventType;

  /** The provider's own finer word: `Permanent/NoEmail`, `abuse`. */
  @Column(DataType.TEXT)
  declare subtype: string | null;

  /** When it happened, by the provider's clock. */
  @Column({ type: DataType.DATE, allowNull: false })
  declare at: Date;

  @CreatedAtColumn
  declare receivedAt: CreationOptional<Date>;

  /** What the receiving server said; without addresses. */
  @Column(DataType.TEXT)
  declare detail: string | null;

  /** The id of the message that brought it. */
  @Column(DataType.TEXT)
  declare messageId: string | null;

  @Column({ type: DataType.TEXT, allowNull: false })
  declare fingerprint: string;
}
