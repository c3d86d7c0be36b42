import type { CreationOptional, InferAttributes, InferCreationAttributes } from 'sequelize';
import { Column, DataType, ForeignKey, Model, Table } from './sequelize-typescript.js';
import { MailEvent } from './mail-event.js';
import { CreatedAtColumn } from './columns.js';

/** Why an address gets no more mail. */
export type SuppressionReason = 'bounce' | 'complaint';

/** An address that gets no more mail: it bounced permanently, or its owner complained. */
@Table({ tableName: 'suppressions', underscored: true, updatedAt: false })
export class Suppression extends Model<
  InferAttributes<Suppression>,
  InferCreationAttributes<Suppression>
> {
  /** As compared; see `EmailAddress`. */
  @Column({ type: DataType.TEXT, primaryKey: true })
  declare emailCanonical: string;

  @Column({ type: DataType.TEXT, allowNull: false })
  declare reason: SuppressionReason;

  @CreatedAtColumn
  declare createdAt: CreationOptional<Date>;

  /** The event that caused it; null once that is deleted. */
  @ForeignKey(() => MailEvent)
  @Column(DataType.UUID)
  declare eventId: string | null;
}
