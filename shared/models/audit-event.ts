import type { CreationOptional, InferAttributes, InferCreationAttributes } from 'sequelize';
import { NOW } from '../database/clock.js';
import { Column, CreatedAt, DataType, Model, Table } from './sequelize-typescript.js';
import { UuidKey } from './columns.js';

/** The values of `event.category` that events here have, of those that the Elastic Common Schema allows. */
type EventCategory =
  | 'authentication'
  | 'configuration'
  | 'email'
  | 'iam'
  | 'process'
  | 'session'
  | 'web';

/**
 * Security events, named as in the OWASP Logging Vocabulary where it has a name, and what operators do; each with its
 * category in the Elastic Common Schema.
 */
export const auditEvents = {
  registration_requested: 'iam',
  confirmation_requested: 'iam',
  password_reset_requested: 'iam',
  email_change_requested: 'iam',
  user_created: 'iam',
  email_confirmed: 'iam',
  email_confirm_fail: 'iam',
  authn_login_success: 'authentication',
  authn_login_fail: 'authentication',
  authn_login_lock: 'authentication',
  authn_login_lock_lifted: 'authentication',
  authn_password_change: 'iam',
  authn_password_change_fail: 'iam',
  authn_token_revoked: 'session',
  authn_token_reuse: 'session',
  user_deleted: 'iam',
  excess_rate_limit_exceeded: 'web',
  privilege_permissions_changed: 'iam',
  email_suppressed: 'email',
  email_suppression_lifted: 'email',
  mail_redriven: 'email',
  mail_discarded: 'email',
  queue_paused: 'configuration',
  queue_resumed: 'configuration',
  task_requested: 'process',
  confirmation_requested_by_operator: 'iam',
  bulk_action_started: 'email',
  bulk_action_stopped: 'email',
  bulk_action_completed: 'email',
} as const satisfies Readonly<Record<string, EventCategory>>;

export type AuditEventName = keyof typeof auditEvents;

export const auditEventNames = Object.keys(auditEvents) as readonly AuditEventName[];

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
