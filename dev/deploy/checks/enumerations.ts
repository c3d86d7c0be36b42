/**
 * Values of properties that the specification of CloudFormation knows only as texts, from its reference
 * (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/), by type and path.
 */
export const enumerations: Readonly<Record<string, readonly string[]>> = {
  'AWS::AutoScaling::AutoScalingGroup.HealthCheckType': ['EC2', 'ELB', 'EBS', 'VPC_LATTICE'],
  'AWS::AutoScaling::LifecycleHook.LifecycleTransition': [
    'autoscaling:EC2_INSTANCE_LAUNCHING',
    'autoscaling:EC2_INSTANCE_TERMINATING',
  ],
  'AWS::AutoScaling::LifecycleHook.DefaultResult': ['ABANDON', 'CONTINUE'],
  'AWS::AutoScaling::ScalingPolicy.PolicyType': [
    'SimpleScaling',
    'StepScaling',
    'TargetTrackingScaling',
    'PredictiveScaling',
  ],
  'AWS::AutoScaling::ScalingPolicy.TargetTrackingConfiguration.CustomizedMetricSpecification.Metrics.MetricStat.Stat':
    ['Average', 'Maximum', 'Minimum', 'SampleCount', 'Sum'],
  'AWS::CloudWatch::Alarm.ComparisonOperator': [
    'GreaterThanOrEqualToThreshold',
    'GreaterThanThreshold',
    'LessThanThreshold',
    'LessThanOrEqualToThreshold',
  ],
  'AWS::CloudWatch::Alarm.Statistic': ['Average', 'Maximum', 'Minimum', 'SampleCount', 'Sum'],
  'AWS::CloudWatch::Alarm.TreatMissingData': ['breaching', 'ignore', 'missing', 'notBreaching'],
  'AWS::ElasticLoadBalancingV2::Listener.Protocol': ['HTTP', 'HTTPS'],
  'AWS::ElasticLoadBalancingV2::Listener.DefaultActions.Type': [
    'authenticate-cognito',
    'authenticate-oidc',
    'fixed-response',
    'forward',
    'redirect',
  ],
  'AWS::ElasticLoadBalancingV2::Listener.DefaultActions.RedirectConfig.StatusCode': [
    'HTTP_301',
    'HTTP_302',
  ],
  'AWS::SES::ConfigurationSet.DeliveryOptions.TlsPolicy': ['OPTIONAL', 'REQUIRE'],
  'AWS::SES::ConfigurationSet.SuppressionOptions.SuppressedReasons': ['BOUNCE', 'COMPLAINT'],
  'AWS::SES::ConfigurationSetEventDestination.EventDestination.MatchingEventTypes': [
    'send',
    'reject',
    'bounce',
    'complaint',
    'delivery',
    'open',
    'click',
    'renderingFailure',
    'deliveryDelay',
    'subscription',
  ],
  'AWS::SNS::Subscription.Protocol': ['sqs', 'https', 'lambda', 'email', 'firehose'],
  'AWS::SNS::Topic.SignatureVersion': ['1', '2'],
};
