import { Stack, type StackProps, RemovalPolicy } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { EnvironmentSettings } from '../environment.js';

/** Three kinds of subnets in two zones: load balancer and NAT; instances; what holds data and reaches nothing. */
export class NetworkStack extends Stack {
  readonly vpc: ec2.Vpc;
  /** Instances of both tiers, and the builds that migrate. Only these reach PostgreSQL and Valkey. */
  readonly clients: ec2.SecurityGroup;
  readonly database: ec2.SecurityGroup;
  readonly cache: ec2.SecurityGroup;
  /** The network interfaces of Firehose. Only these reach OpenSearch, and operators by a port-forward from an instance. */
  readonly shipping: ec2.SecurityGroup;
  readonly search: ec2.SecurityGroup;

  constructor(scope: Construct, id: string, settings: EnvironmentSettings, props: StackProps) {
    super(scope, id, props);
    const { network, name } = settings;
    const subnet = (subnetType: ec2.SubnetType, label: string): ec2.SubnetConfiguration => ({
      name: label,
      subnetType,
      cidrMask: 22,
    });
    this.vpc = new ec2.Vpc(this, 'Vpc', {
      ipAddresses: ec2.IpAddresses.cidr(network.cidr),
      maxAzs: 2,
      natGateways: network.natGateways,
      subnetConfiguration: [
        subnet(ec2.SubnetType.PUBLIC, 'public'),
        subnet(ec2.SubnetType.PRIVATE_WITH_EGRESS, 'instances'),
        subnet(ec2.SubnetType.PRIVATE_ISOLATED, 'data'),
      ],
      // Image layers come from S3: they need not pass, and pay for, the NAT gateway.
      gatewayEndpoints: { S3: { service: ec2.GatewayVpcEndpointAwsService.S3 } },
      flowLogs: {
        Rejected: {
          trafficType: ec2.FlowLogTrafficType.REJECT,
          destination: ec2.FlowLogDestination.toCloudWatchLogs(
            new logs.LogGroup(this, 'FlowLog', {
              retention: logs.RetentionDays.ONE_MONTH,
              removalPolicy: RemovalPolicy.DESTROY,
            }),
          ),
        },
      },
    });
    const group = (label: string, description: string, allowAllOutbound = false) =>
      new ec2.SecurityGroup(this, label, {
        vpc: this.vpc,
        description: `${description} (Rollcall, ${name})`,
        allowAllOutbound,
      });
    this.clients = group('Clients', 'Instances and migrations', true);
    this.database = group('Database', 'PostgreSQL');
    this.cache = group('Cache', 'Valkey');
    this.shipping = group('Shipping', 'Firehose');
    this.search = group('Search', 'OpenSearch');
    this.database.addIngressRule(this.clients, ec2.Port.tcp(5432), 'PostgreSQL');
    this.cache.addIngressRule(this.clients, ec2.Port.tcp(6379), 'Valkey over TLS');
    this.search.addIngressRule(this.shipping, ec2.Port.tcp(443), 'log lines');
    this.search.addIngressRule(this.clients, ec2.Port.tcp(443), 'operators, by a port-forward');
    this.shipping.addEgressRule(this.search, ec2.Port.tcp(443), 'log lines');
  }
}
