import type { CreationOptional, InferAttributes, InferCreationAttributes } from 'sequelize';
import { NOW } from '../database/clock.js';
import { Column, CreatedAt, DataType, Model, Table } from './sequelize-typescript.js';
import { UuidKey } from './columns.js';

/** Security events, named as in the OWASP Logging Vocabulary where it has a name, and what operators do. */
export const auditEventNames = [
  'registration_requested',
  'confirmation_requested',
  'password_reset_requested',
  'email_change_requested',
  'user_created',
  'email_confirmed',
  'email_confirm_fail',
  'authn_login_success',
  'authn_login_fail',
  'authn_login_lock',
  'authn_password_change',
  'authn_password_change_fail',
  'authn_token_revoked',
  'authn_token_reuse',
  'user_deleted',
  'excess_rate_limit_exceeded',
  'privilege_permissions_changed',
  'email_suppressed',
  'email_suppression_lifted',
  'mail_redriven',
  'mail_discarded',
  'queue_paused',
  'queue_resumed',
  'task_requested',
  'confirmation_requested_by_operator',
  'bulk_action_started',
  'bulk_action_stopped',
  'bulk_action_completed',
] as const;

export type AuditEventName = (typeof auditEventNames)[number];

/**
 * One security event, written in the transaction that it describes. It outlives the admin, so its ids are no foreign keys.
 * Holds no address, token or password.
 */
@Table({ tableName: 'audit_events', underscored: true, createdAt: 'at', updatedAt: false })
export class AuditEvent extends Model<
  InferAttributes<AuditEvent>,
  InferCreationAttributes<AuditEvent>
> {
  @UuidKey
  declare id: string;

  @CreatedAt
  @Column({ type: DataType.DATE, allowNull: false, primaryKey: true, defaultValue: NOW })
  declare at: CreationOptional<Date>;

  @Column({ type: DataType.TEXT, allowNull: false })
  declare event: AuditEventName;

  @Column(DataType.INTEGER)
  declare adminId: CreationOptional<number | null>;

  @Column(DataType.INTEGER)
  declare sessionId: CreationOptional<number | null>;

  @Column(DataType.TEXT)
  declare requestId: CreationOptional<string | null>;

  @Column(DataType.TEXT)
  declare traceId: CreationOptional<string | null>;

  @Column(DataType.TEXT)
  declare ip: CreationOptional<string | null>;

  @Column({ type: DataType.JSONB, allowNull: false, defaultValue: {} })
  declare details: CreationOptional<Record<string, string | number | boolean>>;
}
