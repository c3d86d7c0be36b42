import type { CreationOptional, InferAttributes, InferCreationAttributes } from 'sequelize';
import { Column, DataType, ForeignKey, Model, Table } from './sequelize-typescript.js';
import { Admin } from './admin.js';
import { CreatedAtColumn, UuidKey } from './columns.js';

/**
 * What the link confirms. A token is valid for its own purpose only; `registration` and `resend` are interchangeable.
 */
export type ConfirmationPurpose = 'registration' | 'resend' | 'email_change' | 'password_reset';

/**
 * A mailed link that proves control of an address. Its token is derived from this row and a key that is not in the database,
 * so no dump of this table or of the queue contains a usable link. Every request for a link creates a row; the worker
 * decides whether a mail is sent, and which.
 */
@Table({ tableName: 'confirmations', underscored: true, updatedAt: false })
export class Confirmation extends Model<
  InferAttributes<Confirmation>,
  InferCreationAttributes<Confirmation>
> {
  @UuidKey
  declare id: string;

  /** `email_change`: the account that asked. Otherwise the account that the link was used for, null until then. */
  @ForeignKey(() => Admin)
  @Column(DataType.INTEGER)
  declare adminId: CreationOptional<number | null>;

  @Column({ type: DataType.TEXT, allowNull: false })
  declare purpose: ConfirmationPurpose;

  /** The address to prove, as entered. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare email: string;

  /** As compared; see `canonicalAddress`. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare emailCanonical: string;

  @Column({ type: DataType.BLOB, allowNull: false })
  declare nonce: Buffer;

  /** The same registration was sent a moment earlier: one mail serves both. */
  @Column({ type: DataType.BOOLEAN, allowNull: false, defaultValue: false })
  declare repeated: CreationOptional<boolean>;

  @CreatedAtColumn
  declare createdAt: CreationOptional<Date>;

  @Column({ type: DataType.DATE, allowNull: false })
  declare expiresAt: Date;

  /** When it was used. */
  @Column(DataType.DATE)
  declare confirmedAt: CreationOptional<Date | null>;

  /** The network from which it was used, so the mailbox owner's. */
  @Column(DataType.TEXT)
  declare network: CreationOptional<string | null>;

  /** When a newer link replaced it. */
  @Column(DataType.DATE)
  declare supersededAt: CreationOptional<Date | null>;
}
