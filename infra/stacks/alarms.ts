import { ArnFormat, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as events from 'aws-cdk-lib/aws-events';
import * as eventTargets from 'aws-cdk-lib/aws-events-targets';
import { ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import * as sns from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Construct } from 'constructs';
import type { EnvironmentSettings } from '../environment.js';
import type { DataStack } from './data.js';
import type { LogsStack } from './logs.js';
import { METRICS_NAMESPACE, type ServiceStack } from './service.js';

interface AlarmOptions {
  readonly metric: cloudwatch.IMetric;
  readonly threshold: number;
  readonly description: string;
  readonly below?: boolean;
  readonly periods?: number;
  /** Whether silence is an alarm, too. */
  readonly missing?: cloudwatch.TreatMissingData;
}

/** Those of `.ebextensions`, by their logical names. */
export const bundleAlarms = ['DeadLetterAlarm', 'WorkersMissingAlarm'] as const;

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** What AWS sees and the product's own alerts (docs/runbook.md) cannot, and a page of charts. */
export class AlarmsStack extends Stack {
  readonly topic: sns.Topic;
  private readonly alarms: cloudwatch.Alarm[] = [];
  private readonly dashboard: cloudwatch.Dashboard;

  constructor(
    scope: Construct,
    id: string,
    private readonly settings: EnvironmentSettings,
    private readonly parts: {
      readonly data: DataStack;
      readonly logs: LogsStack;
      readonly service: ServiceStack;
    },
    props: StackProps,
  ) {
    super(scope, id, props);
    this.topic = new sns.Topic(this, 'Topic', {
      displayName: `Rollcall, ${settings.name}`,
      masterKey: parts.data.key,
      enforceSSL: true,
    });
    for (const address of settings.operators)
      this.topic.addSubscription(new EmailSubscription(address));
    this.letAlarmsPublish();
    this.dashboard = new cloudwatch.Dashboard(this, 'Dashboard', {
      dashboardName: `rollcall-${settings.name}`,
      defaultInterval: Duration.hours(12),
    });
    this.watchEnvironments();
    this.watchWork();
    this.watchDatabase();
    this.watchCache();
    this.watchLogs();
    this.watchMail();
    this.dashboard.addWidgets(new cloudwatch.AlarmStatusWidget({ alarms: this.alarms, width: 24 }));
  }

  /** An alarm's action grants nothing by itself, unlike a rule's target: neither the topic nor the key that encrypts it. */
  private letAlarmsPublish(): void {
    const alarms = this.formatArn({
      service: 'cloudwatch',
      resource: 'alarm',
      resourceName: `rollcall-${this.settings.name}-*`,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    this.topic.grantPublish(
      new ServicePrincipal('cloudwatch.amazonaws.com', {
        conditions: {
          StringEquals: { 'aws:SourceAccount': this.account },
          ArnLike: { 'aws:SourceArn': alarms },
        },
      }),
    );
  }

  private metric(
    namespace: string,
    metricName: string,
    dimensionsMap: Record<string, string>,
    statistic = 'Maximum',
    minutes = 5,
  ): cloudwatch.Metric {
    return new cloudwatch.Metric({
      namespace,
      metricName,
      ...(Object.keys(dimensionsMap).length > 0 && { dimensionsMap }),
      statistic,
      period: Duration.minutes(minutes),
    });
  }

  private alarm(name: string, options: AlarmOptions): void {
    const { metric, threshold, description, below = false, periods = 3 } = options;
    const alarm = new cloudwatch.Alarm(this, name, {
      alarmName: `rollcall-${this.settings.name}-${name}`,
      alarmDescription: description,
      metric,
      threshold,
      comparisonOperator: below
        ? cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
        : cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: periods,
      treatMissingData: options.missing ?? cloudwatch.TreatMissingData.MISSING,
    });
    const action = new SnsAction(this.topic);
    alarm.addAlarmAction(action);
    alarm.addOkAction(action);
    this.alarms.push(alarm);
  }

  private chart(title: string, ...left: cloudwatch.IMetric[]): void {
    this.dashboard.addWidgets(new cloudwatch.GraphWidget({ title, left, width: 8, height: 6 }));
  }

  private watchEnvironments(): void {
    for (const [tier, name] of Object.entries(this.parts.service.environmentNames)) {
      // 0 is Ok, 15 Warning, 20 Degraded, 25 Severe.
      const health = this.metric(
        'AWS/ElasticBeanstalk',
        'EnvironmentHealth',
        { EnvironmentName: name },
        'Maximum',
        1,
      );
      this.alarm(`${tier}-health`, {
        metric: health,
        threshold: 15,
        periods: 5,
        description: `Elastic Beanstalk finds ${name} degraded or worse, or nothing is known of it.`,
        missing: cloudwatch.TreatMissingData.BREACHING,
      });
      this.chart(`Health of ${name}`, health);
    }
    // The alarms of the bundle. Their names are Elastic Beanstalk's, so they cannot be given an action: their change of state
    // is an event. Every environment of the account has them; their descriptions begin with its name.
    const { worker } = this.parts.service.environmentNames;
    new events.Rule(this, 'BundleAlarms', {
      description: `${worker}: the dead-letter queue of the worker tier holds a message, or no worker publishes`,
      eventPattern: {
        source: ['aws.cloudwatch'],
        detailType: ['CloudWatch Alarm State Change'],
        detail: {
          state: { value: ['ALARM'] },
          alarmName: bundleAlarms.map((name) => ({ wildcard: `awseb-*-${name}-*` })),
          // The second stands beside the first for a while: docs/deploy.md, "Blue and green".
          configuration: {
            description: [worker, `${worker}-green`].map((name) => ({ prefix: `${name}: ` })),
          },
        },
      },
      targets: [new eventTargets.SnsTopic(this.topic)],
    });
  }

  /** What the workers publish, each the same: docs/scaling.md. That nobody does is an alarm of the bundle. */
  private watchWork(): void {
    const { worker } = this.parts.service.environmentNames;
    const published = (name: string) =>
      this.metric(METRICS_NAMESPACE, name, { Environment: worker }, 'Maximum', 1);
    const age = published('OutboxOldestSeconds');
    const messages = published('OutboxMessages');
    const dead = published('DeadLetters');
    const dropped = published('LogLinesDropped');
    // Silence is the alarm of the bundle.
    const missing = cloudwatch.TreatMissingData.NOT_BREACHING;
    this.alarm('mail-waits', {
      metric: age,
      threshold: 900,
      missing,
      description: 'A mail has waited for a quarter of an hour, and nobody has tried to send it.',
    });
    this.alarm('mail-given-up', {
      metric: dead,
      threshold: 0,
      periods: 1,
      missing,
      description: 'A mail was given up, or perhaps sent, and waits for a decision.',
    });
    this.alarm('logs-dropped', {
      metric: dropped,
      threshold: 0,
      periods: 1,
      missing,
      description: 'Log lines were dropped, since their spool was full: they are only on stdout.',
    });
    this.chart('Workers needed, and work held', published('WorkersNeeded'), published('WorkHeld'));
    this.chart('Mails that wait', messages, dead);
    this.chart('Oldest mail without an attempt', age);
  }

  private watchDatabase(): void {
    const { database } = this.parts.data;
    const dimensions = { DBInstanceIdentifier: database.instanceIdentifier };
    const rds = (name: string, statistic?: string) =>
      this.metric('AWS/RDS', name, dimensions, statistic);
    const cpu = rds('CPUUtilization', 'Average');
    const storage = rds('FreeStorageSpace', 'Minimum');
    const memory = rds('FreeableMemory', 'Minimum');
    const connections = rds('DatabaseConnections');
    this.alarm('database-cpu', {
      metric: cpu,
      threshold: 80,
      description: 'PostgreSQL has used over 80 % of its CPU for a quarter of an hour.',
    });
    this.alarm('database-storage', {
      metric: storage,
      threshold: 3 * GIB,
      below: true,
      description: 'PostgreSQL has less than 3 GiB left.',
    });
    this.alarm('database-memory', {
      metric: memory,
      threshold: 64 * MIB,
      below: true,
      description: 'PostgreSQL has less than 64 MiB of memory left.',
    });
    this.chart('PostgreSQL: CPU', cpu);
    this.chart('PostgreSQL: connections', connections);
    this.chart('PostgreSQL: free storage', storage);
  }

  private watchCache(): void {
    const { cache } = this.parts.data;
    for (let node = 1; node <= this.settings.cache.replicas + 1; node += 1) {
      // Without cluster mode nodes are numbered from 001.
      const dimensions = { CacheClusterId: `${cache.ref}-00${node}` };
      const valkey = (name: string, statistic?: string) =>
        this.metric('AWS/ElastiCache', name, dimensions, statistic);
      const cpu = valkey('EngineCPUUtilization', 'Average');
      const memory = valkey('DatabaseMemoryUsagePercentage');
      this.alarm(`cache-${node}-cpu`, {
        metric: cpu,
        threshold: 70,
        description: 'Valkey has used over 70 % of its core for a quarter of an hour.',
      });
      this.alarm(`cache-${node}-memory`, {
        metric: memory,
        threshold: 75,
        description: 'Valkey is three quarters full: when it is full it refuses jobs.',
      });
      this.chart(`Valkey ${node}: CPU and memory`, cpu, memory);
    }
  }

  private watchLogs(): void {
    const { stream, domain } = this.parts.logs;
    const firehose = (name: string, statistic?: string) =>
      this.metric('AWS/Firehose', name, { DeliveryStreamName: stream.ref }, statistic);
    const search = (name: string, statistic?: string) =>
      this.metric('AWS/ES', name, { DomainName: domain.ref, ClientId: this.account }, statistic);
    const age = firehose('DeliveryToAmazonOpenSearchService.DataFreshness');
    const throttled = firehose('ThrottledRecords', 'Sum');
    const free = search('FreeStorageSpace', 'Minimum');
    this.alarm('logs-late', {
      metric: age,
      threshold: 900,
      description: 'A log line has waited for OpenSearch for more than a quarter of an hour.',
      missing: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    this.alarm('logs-throttled', {
      metric: throttled,
      threshold: 0,
      description: 'Firehose refuses records: workers keep them until it takes them again.',
      missing: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    this.alarm('search-red', {
      metric: search('ClusterStatus.red'),
      threshold: 0,
      periods: 1,
      description: 'A part of the log index is lost; S3 has the lines.',
    });
    // In MiB.
    this.alarm('search-storage', {
      metric: free,
      threshold: 2_048,
      below: true,
      description: 'OpenSearch has less than 2 GiB left: delete old indexes.',
    });
    this.chart('Log lines: age and throttled', age, throttled);
    this.chart('OpenSearch: free storage', free);
  }

  private watchMail(): void {
    // Of the account, as SES judges it: it reviews at 5 and 0.1 %, and pauses at 10 and 0.5 %.
    const bounces = this.metric('AWS/SES', 'Reputation.BounceRate', {}, 'Maximum', 60);
    const complaints = this.metric('AWS/SES', 'Reputation.ComplaintRate', {}, 'Maximum', 60);
    const missing = cloudwatch.TreatMissingData.IGNORE;
    this.alarm('mail-bounces', {
      metric: bounces,
      threshold: 0.04,
      periods: 1,
      missing,
      description: 'Over 4 % of mails bounce. From 5 % on SES reviews the account.',
    });
    this.alarm('mail-complaints', {
      metric: complaints,
      threshold: 0.0008,
      periods: 1,
      missing,
      description:
        'Over 0.08 % of mails are complained about. From 0.1 % on SES reviews the account.',
    });
    this.chart('SES: bounces and complaints', bounces, complaints);
  }
}
