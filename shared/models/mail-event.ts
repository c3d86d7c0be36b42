import type { CreationOptional, InferAttributes, InferCreationAttributes } from 'sequelize';
import { Column, DataType, ForeignKey, Model, Table } from './sequelize-typescript.js';
import { CreatedAtColumn, UuidKey } from './columns.js';
import { OutboxMessage } from './outbox-message.js';

/** What the mail provider reports about a mail that it accepted. */
export type MailEventType = 'delivered' | 'bounced' | 'complained' | 'delayed' | 'rejected';

/** The subtype of a complaint with which the recipient takes an earlier one back. */
export const WITHDRAWN_COMPLAINT = 'not-spam';

/**
 * What happened to a mail after the server accepted it. An event may arrive twice, in the same queue message or in another
 * with the same content: `messageId` and `fingerprint` deduplicate it.
 */
@Table({ tableName: 'mail_events', underscored: true, createdAt: 'receivedAt', updatedAt: false })
export class MailEvent extends Model<
  InferAttributes<MailEvent>,
  InferCreationAttributes<MailEvent>
> {
  @UuidKey
  declare id: string;

  /** Null only in rows of earlier versions, which also stored events about unknown mails. */
  @ForeignKey(() => OutboxMessage)
  @Column(DataType.UUID)
  declare outboxId: string | null;

  /** The provider's id of the mail. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare providerId: string;

  @Column({ type: DataType.TEXT, allowNull: false })
  declare type: MailEventType;

  /** The provider's subtype: `Permanent/NoEmail`, `abuse`. */
  @Column(DataType.TEXT)
  declare subtype: string | null;

  /** When it happened, by the provider's clock. */
  @Column({ type: DataType.DATE, allowNull: false })
  declare at: Date;

  @CreatedAtColumn
  declare receivedAt: CreationOptional<Date>;

  /** The receiving server's diagnostic, without addresses. */
  @Column(DataType.TEXT)
  declare detail: string | null;

  /** Id of the queue message that carried it. */
  @Column(DataType.TEXT)
  declare messageId: string | null;

  @Column({ type: DataType.TEXT, allowNull: false })
  declare fingerprint: string;
}
