import type {
  CreationOptional,
  InferAttributes,
  InferCreationAttributes,
  NonAttribute,
} from 'sequelize';
import {
  BelongsTo,
  Column,
  CreatedAt,
  DataType,
  ForeignKey,
  Model,
  Table,
} from 'sequelize-typescript';
import { Admin } from './admin.js';

/** What following the mailed link does. A token of one purpose is worthless for the others. */
export type ConfirmationPurpose = 'registration' | 'email_change' | 'password_reset';

/**
 * A question put to the owner of an address: is it yours? The mailed link is derived from this row and a key that
 * the database never sees, so neither a dump of this table nor of the queue holds a usable link.
 */
@Table({ tableName: 'confirmations', underscored: true, updatedAt: false })
export class Confirmation extends Model<
  InferAttributes<Confirmation>,
  InferCreationAttributes<Confirmation>
> {
  @Column({ type: DataType.UUID, primaryKey: true })
  declare id: string;

  @ForeignKey(() => Admin)
  @Column({ type: DataType.INTEGER, allowNull: false })
  declare adminId: number;

  @BelongsTo(() => Admin)
  declare admin?: NonAttribute<Admin>;

  @Column({ type: DataType.TEXT, allowNull: false })
  declare purpose: ConfirmationPurpose;

  /** The address that the link is mailed to. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare email: string;

  @Column({ type: DataType.BLOB, allowNull: false })
  declare nonce: Buffer;

  @CreatedAt
  @Column({ type: DataType.DATE, allowNull: false })
  declare createdAt: CreationOptional<Date>;

  @Column({ type: DataType.DATE, allowNull: false })
  declare expiresAt: Date;

  @Column(DataType.DATE)
  declare confirmedAt: CreationOptional<Date | null>;

  /** What a registration was made with: its own link, and no other, brings it into force. Empty once it is settled. */
  @Column(DataType.TEXT)
  declare name: CreationOptional<string | null>;

  @Column(DataType.TEXT)
  declare nameCanonical: CreationOptional<string | null>;

  @Column(DataType.TEXT)
  declare passwordHash: CreationOptional<string | null>;

  /** Set when a newer link took this one's place. */
  @Column(DataType.DATE)
  declare supersededAt: CreationOptional<Date | null>;
}
