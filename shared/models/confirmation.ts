import type { CreationOptional, InferAttributes, InferCreationAttributes } from 'sequelize';
import { Column, DataType, ForeignKey, Model, Table } from 'sequelize-typescript';
import { Admin } from './admin.js';
import { CreatedAtColumn, UuidKey } from './columns.js';

/**
 * What was asked for. A token of one purpose is worthless for the others, except that those of `registration` and
 * `resend` do the same.
 */
export type ConfirmationPurpose = 'registration' | 'resend' | 'email_change' | 'password_reset';

/**
 * A link that proves who reads the mail of an address. The token in it is derived from this row and a key that the
 * database never sees, so neither a dump of this table nor of the queue holds a usable link. There is a row whenever one
 * was asked for; whether a mail with the link is sent, and which, is decided by the worker.
 */
@Table({ tableName: 'confirmations', underscored: true, updatedAt: false })
export class Confirmation extends Model<
  InferAttributes<Confirmation>,
  InferCreationAttributes<Confirmation>
> {
  @UuidKey
  declare id: string;

  /** For `email_change` the account that asked; for the others the account that the link was used for, once it was. */
  @ForeignKey(() => Admin)
  @Column(DataType.INTEGER)
  declare adminId: CreationOptional<number | null>;

  @Column({ type: DataType.TEXT, allowNull: false })
  declare purpose: ConfirmationPurpose;

  /** The address that is proven, as it was typed. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare email: string;

  /** As compared; see `canonicalAddress`. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare emailCanonical: string;

  @Column({ type: DataType.BLOB, allowNull: false })
  declare nonce: Buffer;

  /** The same registration was sent a moment before: one mail is enough for both. */
  @Column({ type: DataType.BOOLEAN, allowNull: false, defaultValue: false })
  declare repeated: CreationOptional<boolean>;

  @CreatedAtColumn
  declare createdAt: CreationOptional<Date>;

  @Column({ type: DataType.DATE, allowNull: false })
  declare expiresAt: Date;

  /** When it was used. */
  @Column(DataType.DATE)
  declare confirmedAt: CreationOptional<Date | null>;

  /** From which network it was used: its owner's, as whoever reads the mail is the owner. */
  @Column(DataType.TEXT)
  declare network: CreationOptional<string | null>;

  /** When a newer link took its place. */
  @Column(DataType.DATE)
  declare supersededAt: CreationOptional<Date | null>;
}
