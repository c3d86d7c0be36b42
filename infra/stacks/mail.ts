import { Stack, type StackProps } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as route53 from 'aws-cdk-lib/aws-route53';
import * as ses from 'aws-cdk-lib/aws-ses';
import type { Construct } from 'constructs';
import type { EnvironmentSettings } from '../environment.js';

/**
 * The sender's domain in SES with DKIM, SPF and DMARC, and the user that sends over SMTP. Configuration set, topic and its
 * subscription are the worker bundle's (.ebextensions/worker/60-ses-events.config): they need the worker tier's own queue.
 */
export class MailStack extends Stack {
  readonly senderDomain: string;
  readonly user: iam.User;

  constructor(scope: Construct, id: string, settings: EnvironmentSettings, props: StackProps) {
    super(scope, id, props);
    const { from } = settings.mail;
    this.senderDomain = from.slice(from.indexOf('@') + 1);
    const zone = route53.HostedZone.fromHostedZoneAttributes(this, 'Zone', {
      hostedZoneId: settings.zone.id,
      zoneName: settings.zone.name,
    });
    const identity = new ses.EmailIdentity(this, 'Identity', {
      identity: ses.Identity.domain(this.senderDomain),
      dkimSigning: true,
      mailFromDomain: `bounce.${this.senderDomain}`,
    });
    identity.dkimRecords.forEach(({ name, value }, index) => {
      new route53.CnameRecord(this, `Dkim${index + 1}`, {
        zone,
        // Both are known only when the identity is made; the dot keeps the zone's name from being appended.
        recordName: `${name}.`,
        domainName: value,
      });
    });
    const bounceDomain = `bounce.${this.senderDomain}`;
    new route53.MxRecord(this, 'BounceMx', {
      zone,
      recordName: `${bounceDomain}.`,
      values: [{ priority: 10, hostName: `feedback-smtp.${this.region}.amazonses.com` }],
    });
    new route53.TxtRecord(this, 'BounceSpf', {
      zone,
      recordName: `${bounceDomain}.`,
      values: ['v=spf1 include:amazonses.com -all'],
    });
    new route53.TxtRecord(this, 'Dmarc', {
      zone,
      recordName: `_dmarc.${this.senderDomain}.`,
      values: ['v=DMARC1; p=quarantine; adkim=r; aspf=r'],
    });
    // SMTP knows users only, not roles. Its access key is made by an operator (infra/README.md), so no template holds it.
    this.user = new iam.User(this, 'SmtpUser', { userName: `rollcall-${settings.name}-smtp` });
    this.user.addToPolicy(
      new iam.PolicyStatement({
        actions: ['ses:SendRawEmail'],
        resources: [
          this.formatArn({ service: 'ses', resource: 'identity', resourceName: this.senderDomain }),
          // The set is made, and named, by the worker's environment.
          this.formatArn({ service: 'ses', resource: 'configuration-set', resourceName: '*' }),
        ],
        conditions: { StringEquals: { 'ses:FromAddress': from } },
      }),
    );
  }
}
