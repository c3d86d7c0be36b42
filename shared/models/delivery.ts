import type { CreationOptional, InferAttributes, InferCreationAttributes } from 'sequelize';
import { Column, DataType, ForeignKey, Model, Table } from './sequelize-typescript.js';
import { CreatedAtColumn } from './columns.js';
import { OutboxMessage } from './outbox-message.js';

/** One attempt to deliver one outbox message. Without `finishedAt` it is in progress or was interrupted, result unknown. */
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

  /** 1 for the first. */
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

  /** The server's reply, or why there was none. */
  @Column(DataType.TEXT)
  declare response: CreationOptional<string | null>;

  /** The mail server's id of the mail; SES events refer to it. */
  @Column(DataType.TEXT)
  declare providerId: CreationOptional<string | null>;
}
