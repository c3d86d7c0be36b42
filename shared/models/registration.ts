import type { CreationOptional, InferAttributes, InferCreationAttributes } from 'sequelize';
import { Column, DataType, Model, Table } from './sequelize-typescript.js';
import { CreatedAtColumn, UuidKey } from './columns.js';

/**
 * A request to become an admin with this address, perhaps by somebody who does not own it. Takes effect when the owner of the
 * mailbox enters its password. Only the latest few are kept per address.
 */
@Table({ tableName: 'registrations', underscored: true, updatedAt: false })
export class Registration extends Model<
  InferAttributes<Registration>,
  InferCreationAttributes<Registration>
> {
  @UuidKey
  declare id: string;

  /** As entered; mail is sent to it. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare email: string;

  /** As compared; see `canonicalAddress`. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare emailCanonical: string;

  @Column({ type: DataType.TEXT, allowNull: false })
  declare name: string;

  /** As compared; see `canonicalName`. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare nameCanonical: string;

  @Column({ type: DataType.TEXT, allowNull: false })
  declare passwordHash: string;

  @CreatedAtColumn
  declare createdAt: CreationOptional<Date>;
}
