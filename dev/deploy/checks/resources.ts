import type { Property, PropertyType, Resource, SpecDatabase } from '@aws-cdk/service-spec-types';
import type { Tier } from '../bundle.js';
import { isRecord, recordOf, type ResourceOverride } from './config-files.js';
import { enumerations } from './enumerations.js';
import type { DeployFinding } from './finding.js';
import { inlineFunction, type OptionSetting } from './options.js';

const asg = 'AWS::AutoScaling::AutoScalingGroup';
const alarm = 'AWS::CloudWatch::Alarm';
const common = {
  AWSEBAutoScalingGroup: asg,
  AWSEBSecurityGroup: 'AWS::EC2::SecurityGroup',
  AWSEBEC2LaunchTemplate: 'AWS::EC2::LaunchTemplate',
  AWSEBCloudwatchAlarmHigh: alarm,
  AWSEBCloudwatchAlarmLow: alarm,
  AWSEBAutoScalingScaleUpPolicy: 'AWS::AutoScaling::ScalingPolicy',
  AWSEBAutoScalingScaleDownPolicy: 'AWS::AutoScaling::ScalingPolicy',
} as const;

/** What Elastic Beanstalk makes itself: customize-containers-format-resources-eb.html. */
const ownResources: Readonly<Record<Tier, Readonly<Record<string, string>>>> = {
  web: {
    ...common,
    AWSEBV2LoadBalancer: 'AWS::ElasticLoadBalancingV2::LoadBalancer',
    AWSEBV2LoadBalancerListener: 'AWS::ElasticLoadBalancingV2::Listener',
    AWSEBV2LoadBalancerListener443: 'AWS::ElasticLoadBalancingV2::Listener',
    AWSEBV2LoadBalancerTargetGroup: 'AWS::ElasticLoadBalancingV2::TargetGroup',
    AWSEBLoadBalancerSecurityGroup: 'AWS::EC2::SecurityGroup',
  },
  worker: {
    ...common,
    AWSEBWorkerQueue: 'AWS::SQS::Queue',
    AWSEBWorkerDeadLetterQueue: 'AWS::SQS::Queue',
    AWSEBWorkerCronLeaderRegistry: 'AWS::DynamoDB::Table',
  },
};
const pseudoParameters = [
  'AWS::AccountId',
  'AWS::NoValue',
  'AWS::Partition',
  'AWS::Region',
  'AWS::StackId',
  'AWS::StackName',
  'AWS::URLSuffix',
];
const parameters = ['AWSEBEnvironmentName', 'AWSEBEnvironmentId'];
/** ebextensions-functions.html: the others of CloudFormation are not supported. */
const functions = ['Fn::GetAtt', 'Fn::Join', 'Fn::GetOptionSetting'];
const resourceKeys = [
  'Type',
  'Properties',
  'DependsOn',
  'Metadata',
  'DeletionPolicy',
  'UpdatePolicy',
];

let specification: Promise<SpecDatabase> | undefined;

/** It takes a second to read, so it is read once. */
async function loadSpecification(): Promise<SpecDatabase> {
  const { loadAwsServiceSpec } = await import('@aws-cdk/aws-service-spec');
  return loadAwsServiceSpec();
}

interface World {
  readonly database: SpecDatabase;
  /** Every resource of the environment: its type by its name. */
  readonly types: ReadonlyMap<string, string>;
}

/** A place in a resource, for messages. */
type Report = (path: string, problem: string) => void;

/**
 * The resources of the configuration files, merged over those of Elastic Beanstalk, against the specification of
 * CloudFormation: types, properties, what is required, references and attributes. References in options as well.
 */
export async function checkResources(
  tier: Tier,
  overrides: readonly ResourceOverride[],
  settings: readonly OptionSetting[],
): Promise<DeployFinding[]> {
  const own = ownResources[tier];
  const types = new Map(Object.entries(own));
  for (const { name, definition } of overrides)
    if (typeof definition['Type'] === 'string')
      types.set(name, types.get(name) ?? definition['Type']);
  const world: World = { database: await (specification ??= loadSpecification()), types };
  const findings: DeployFinding[] = [];
  for (const override of overrides) {
    const report: Report = (path, problem) =>
      void findings.push({ where: override.where, problem: `${override.name}${path}: ${problem}` });
    checkResource(world, override, own[override.name], report);
  }
  for (const { where, namespace, name, value } of settings) {
    const text = typeof value === 'string' ? inlineFunction.exec(value)?.[1] : undefined;
    if (text === undefined) continue;
    const report: Report = (_, problem) =>
      void findings.push({ where, problem: `${namespace} ${name}: ${problem}` });
    if (!checkFunction(world, parseJson(text), '', report)) report('', 'is no function');
  }
  return findings;
}

function checkResource(
  world: World,
  { name, definition }: ResourceOverride,
  ownType: string | undefined,
  report: Report,
): void {
  const type = definition['Type'];
  if (typeof type !== 'string') return report('', 'has no Type');
  if (ownType !== undefined && type !== ownType)
    return report('', `Elastic Beanstalk makes it as ${ownType}`);
  if (ownType === undefined && name.startsWith('AWSEB'))
    return report('', 'Elastic Beanstalk makes no such resource in this tier');
  const [resource] = world.database.lookup('resource', 'cloudFormationType', 'equals', type);
  if (!resource) return report('', `there is no type ${type}`);
  for (const key of Object.keys(definition))
    if (!resourceKeys.includes(key)) report(`.${key}`, 'no such attribute of a resource');
  for (const other of textsOf(definition['DependsOn']))
    if (!world.types.has(other)) report('.DependsOn', `there is no ${other}`);
  const properties = recordOf(definition['Properties']);
  checkProperties(
    world,
    resource,
    properties,
    { path: '', type, mayLack: ownType !== undefined },
    report,
  );
}

interface Place {
  readonly path: string;
  /** Whose properties they are, for the enumerations. */
  readonly type: string;
  /** True where Elastic Beanstalk has set the others. */
  readonly mayLack?: boolean;
}

function checkProperties(
  world: World,
  { properties }: { readonly properties: Resource['properties'] },
  values: Readonly<Record<string, unknown>>,
  { path, type, mayLack = false }: Place,
  report: Report,
): void {
  for (const [name, value] of Object.entries(values)) {
    const property: Property | undefined = properties[name];
    const place = { path: `${path}.${name}`, type: `${type}.${name}` };
    if (!property) report(place.path, 'no such property');
    else if (!possibleTypes(property).some((each) => isOfType(world, each, value, place)))
      checkValue(world, property.type, value, place, report);
  }
  if (mayLack) return;
  for (const [name, { required }] of Object.entries(properties))
    if (required === true && !(name in values)) report(`${path}.${name}`, 'is required');
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;

const textsOf = (value: unknown): string[] =>
  [value].flat().filter((each) => typeof each === 'string');

const possibleTypes = ({ type, previousTypes = [] }: Property): PropertyType[] => [
  ...previousTypes,
  type,
];

function isOfType(world: World, type: PropertyType, value: unknown, place: Place): boolean {
  let isRight = true;
  checkValue(world, type, value, place, () => {
    isRight = false;
  });
  return isRight;
}

function checkValue(
  world: World,
  type: PropertyType,
  value: unknown,
  place: Place,
  report: Report,
): void {
  if (type.type === 'null' || checkFunction(world, value, place.path, report)) return;
  switch (type.type) {
    case 'array':
    case 'map':
      return checkElements(world, type, value, place, report);
    case 'ref':
      if (!isRecord(value)) return report(place.path, 'must be a mapping');
      return checkProperties(
        world,
        world.database.get('typeDefinition', type.reference),
        value,
        place,
        report,
      );
    case 'union':
      if (!type.types.some((each) => isOfType(world, each, value, place)))
        report(place.path, 'is of none of the types that it may be of');
      return;
    case 'json':
      return checkNested(world, value, place.path, report);
    case 'tag':
      if (!isRecord(value) || !('Key' in value)) report(place.path, 'must have Key and Value');
      return;
    default:
      return checkScalar(type.type, value, place, report);
  }
}

function checkElements(
  world: World,
  { type, element }: PropertyType & { readonly type: 'array' | 'map' },
  value: unknown,
  place: Place,
  report: Report,
): void {
  const isRight = type === 'array' ? Array.isArray(value) : isRecord(value);
  if (!isRight) return report(place.path, `must be a ${type === 'array' ? 'list' : 'mapping'}`);
  for (const [key, each] of Object.entries(value as object))
    checkValue(world, element, each, { ...place, path: `${place.path}[${key}]` }, report);
}

/** CloudFormation takes numbers and booleans as texts, too. */
function checkScalar(
  type: string,
  value: unknown,
  { path, type: owner }: Place,
  report: Report,
): void {
  const text = textOf(value);
  if (text === undefined) return report(path, `must be a ${type}`);
  if (type === 'boolean' && !/^(?:true|false)$/.test(text)) report(path, 'must be true or false');
  if (type === 'integer' && !/^-?\d+$/.test(text)) report(path, 'must be a whole number');
  if (type === 'number' && !/^-?\d+(?:\.\d+)?$/.test(text)) report(path, 'must be a number');
  const allowed = enumerations[owner];
  if (allowed && !allowed.includes(text)) report(path, `must be one of ${allowed.join(', ')}`);
}

/** Functions inside of a policy, whose other content has no type. */
function checkNested(world: World, value: unknown, path: string, report: Report): void {
  if (checkFunction(world, value, path, report) || typeof value !== 'object' || value === null)
    return;
  for (const [key, each] of Object.entries(value))
    checkNested(world, each, `${path}.${key}`, report);
}

/** True for a function, which has then been checked. */
function checkFunction(world: World, value: unknown, path: string, report: Report): boolean {
  if (!isRecord(value)) return false;
  const [[name, argument] = ['', undefined], ...others] = Object.entries(value);
  if (others.length > 0 || !/^(?:Ref|Fn::\w+)$/.test(name)) return false;
  if (name === 'Ref') {
    const known = [...world.types.keys(), ...pseudoParameters, ...parameters];
    if (!known.includes(String(argument))) report(path, `Ref: there is no ${String(argument)}`);
  } else if (!functions.includes(name))
    report(path, `${name} is not supported by Elastic Beanstalk`);
  else if (name === 'Fn::GetAtt') checkAttribute(world, argument, path, report);
  else if (name === 'Fn::Join') checkNested(world, argument, path, report);
  return true;
}

function checkAttribute(
  { database, types }: World,
  argument: unknown,
  path: string,
  report: Report,
): void {
  const [name, attribute] = Array.isArray(argument) ? argument.map(String) : [];
  const type = types.get(name ?? '');
  if (type === undefined) return report(path, `Fn::GetAtt: there is no ${name ?? 'resource'}`);
  const [resource] = database.lookup('resource', 'cloudFormationType', 'equals', type);
  if (!(attribute !== undefined && resource && attribute in resource.attributes))
    report(path, `Fn::GetAtt: ${type} has no attribute ${attribute ?? ''}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
