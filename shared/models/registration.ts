import type { CreationOptional, InferAttributes, InferCreationAttributes } from 'sequelize';
import { Column, DataType, Model, Table } from 'sequelize-typescript';
import { CreatedAtColumn, UuidKey } from './columns.js';

/**
 * Somebody, perhaps a stranger, wants to become an admin with this address. It comes into force when whoever reads the
 * address's mail enters its password; an address keeps the latest few.
 */
@Table({ tableName: 'registrations', underscored: true, updatedAt: false })
export class Registration extends Model<
  InferAttributes<Registration>,
  InferCreationAttributes<Registration>
> {
  /** Version 7: a later registration has a greater id. */
  @UuidKey
  declare id: string;

  /** As typed; mail is sent to it. */
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
