import type { CreationOptional, InferAttributes, InferCreationAttributes } from 'sequelize';
import { Column, DataType, ForeignKey, Model, Table } from 'sequelize-typescript';
import { OutboxMessage } from './outbox-message.js';
import { CreatedAtColumn } from './columns.js';

/** One try to deliver one outbox message. A try without `finishedAt` was cut short: nobody knows how it ended. */
@Table({ tableName: 'deliveries', underscored: true, createdAt: 'startedAt', updatedAt: false })
export class Delivery extends Model<InferAttributes<Delivery>, InferCreationAttributes<Delivery>> {
  @Column({
    type: DataType.BIGINT,
    primaryKey: true,
    autoIncrement: true,
    autoIncrementIdentity: true,
  })
  declare id: CreationOptional<string>;

  @ForeignKey(() => OutboxMessage)
  @Column({ type: DataType.UUID, allowNull: false })
  declare outboxId: string;

  /** 1 for the first try. */
  @Column({ type: DataType.INTEGER, allowNull: false })
  declare attempt: number;

  /** Host and process id of the worker. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare worker: string;

  @CreatedAtColumn
  declare startedAt: CreationOptional<Date>;

  @Column(DataType.DATE)
  declare finishedAt: CreationOptional<Date | null>;

  @Column(DataType.TEXT)
  declare outcome: CreationOptional<'sent' | 'obsolete' | 'deferred' | 'refused' | null>;

  /** What the server said, or why there was no answer. */
  @Column(DataType.TEXT)
  declare response: CreationOptional<string | null>;

  /** The id under which the mail server took the mail; SES reports events by it. */
  @Column(DataType.TEXT)
  declare providerId: CreationOptional<string | null>;
}
