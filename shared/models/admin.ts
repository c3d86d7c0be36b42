import type { CreationOptional, InferAttributes, InferCreationAttributes } from 'sequelize';
import { Column, DataType, Model, Table } from './sequelize-typescript.js';
import { CreatedAtColumn, IdentityKey, TimeColumn, UpdatedAtColumn } from './columns.js';

/** The columns of an admin, without the methods of the model. */
export type AdminRow = InferAttributes<Admin>;

/** An account whose e-mail address is confirmed; owns users. */
@Table({ tableName: 'admins', underscored: true })
export class Admin extends Model<InferAttributes<Admin>, InferCreationAttributes<Admin>> {
  @IdentityKey
  declare id: CreationOptional<number>;

  /** As entered; mail is sent to it. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare email: string;

  /** As compared; see `canonicalAddress`. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare emailCanonical: string;

  /** Replaces `email` once it is confirmed. */
  @Column(DataType.TEXT)
  declare pendingEmail: CreationOptional<string | null>;

  @Column({ type: DataType.TEXT, allowNull: false })
  declare name: string;

  /** As compared; unique. See `canonicalName`. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare nameCanonical: string;

  @Column({ type: DataType.TEXT, allowNull: false })
  declare passwordHash: string;

  @TimeColumn
  declare confirmedAt: CreationOptional<Date>;

  /** When the operator role was granted by command; addresses in `OPERATOR_EMAILS` have it regardless. */
  @Column(DataType.DATE)
  declare operatorSince: CreationOptional<Date | null>;

  @CreatedAtColumn
  declare createdAt: CreationOptional<Date>;

  @UpdatedAtColumn
  declare updatedAt: CreationOptional<Date>;
}
