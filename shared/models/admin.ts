import type { CreationOptional, InferAttributes, InferCreationAttributes } from 'sequelize';
import { Column, CreatedAt, DataType, Model, Table, UpdatedAt } from 'sequelize-typescript';

/** Somebody who registered and confirmed the address: the owner of users. */
@Table({ tableName: 'admins', underscored: true })
export class Admin extends Model<InferAttributes<Admin>, InferCreationAttributes<Admin>> {
  @Column({
    type: DataType.INTEGER,
    primaryKey: true,
    autoIncrement: true,
    autoIncrementIdentity: true,
  })
  declare id: CreationOptional<number>;

  /** As typed; mail is sent to it. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare email: string;

  /** As compared; see `canonicalAddress`. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare emailCanonical: string;

  /** The address that takes the place of this one as soon as it is confirmed. */
  @Column(DataType.TEXT)
  declare pendingEmail: CreationOptional<string | null>;

  @Column({ type: DataType.TEXT, allowNull: false })
  declare name: string;

  /** As compared; unique. See `canonicalName`. */
  @Column({ type: DataType.TEXT, allowNull: false })
  declare nameCanonical: string;

  @Column({ type: DataType.TEXT, allowNull: false })
  declare passwordHash: string;

  @Column({ type: DataType.DATE, allowNull: false })
  declare confirmedAt: Date;

  /** Set when the operator's role was granted by command; addresses in the configuration have it without. */
  @Column(DataType.DATE)
  declare operatorSince: CreationOptional<Date | null>;

  @CreatedAt
  @Column({ type: DataType.DATE, allowNull: false })
  declare createdAt: CreationOptional<Date>;

  @UpdatedAt
  @Column({ type: DataType.DATE, allowNull: false })
  declare updatedAt: CreationOptional<Date>;
}
