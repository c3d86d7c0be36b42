import { createPublicKey, createVerify } from 'node:crypto';
import type { FetchCertificate } from './fetch-certificate.js';
import { stringToSign, type SnsEnvelope } from './sns-envelope.js';

/** Says whether SNS has signed a message; an unsigned one is not its matter. */
export interface SnsVerifier {
  /** @throws when the certificate cannot be had now. */
  isSignedBySns(envelope: SnsEnvelope): Promise<boolean>;
}

const ALGORITHMS = new Map([
  ['1', 'RSA-SHA1'],
  ['2', 'RSA-SHA256'],
]);
/** `arn:PARTITION:sns:REGION:…`. A region's first part has letters only: others name buckets, such as `s3-us-west-2`. */
const TOPIC = /^arn:(aws|aws-cn|aws-us-gov):sns:([a-z]{2}(?:-[a-z]+){1,2}-\d{1,2}):/;
/** Each region has one certificate at a time; a sender that names more must not fill the memory. */
const MAX_CERTIFICATES = 20;

/** Checks signatures with certificates that are fetched once from where SNS keeps them, and from nowhere else. */
export function createSnsVerifier(fetchCertificate: FetchCertificate): SnsVerifier {
  const certificates = new Map<string, Promise<string>>();

  const certificateAt = (url: string): Promise<string> => {
    const known = certificates.get(url);
    if (known) return known;
    const [oldest] = certificates.keys();
    if (certificates.size >= MAX_CERTIFICATES && oldest !== undefined) certificates.delete(oldest);
    const fetched = fetchCertificate(url);
    certificates.set(url, fetched);
    fetched.catch(() => certificates.delete(url));
    return fetched;
  };

  return {
    async isSignedBySns(envelope) {
      const { Signature: signature, SigningCertURL: url, SignatureVersion: version } = envelope;
      const algorithm = ALGORITHMS.get(version ?? '');
      if (signature === undefined || url === undefined || algorithm === undefined) return false;
      if (!isCertificateOfSns(url, envelope.TopicArn)) return false;
      return verifies(await certificateAt(url), algorithm, stringToSign(envelope), signature);
    },
  };
}

/** True when the address is one at which only SNS itself can put a certificate, in the region of the topic. */
export function isCertificateOfSns(address: string, topicArn: string): boolean {
  const [, partition, region] = TOPIC.exec(topicArn) ?? [];
  if (region === undefined || !URL.canParse(address)) return false;
  const host = `sns.${region}.amazonaws.com${partition === 'aws-cn' ? '.cn' : ''}`;
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(address);
  const isPlain = [port, username, password, search, hash].every((part) => part === '');
  return protocol === 'https:' && hostname === host && isPlain && pathname.endsWith('.pem');
}

function verifies(pem: string, algorithm: string, text: string, signature: string): boolean {
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType !== 'rsa') return false;
    return createVerify(algorithm).update(text, 'utf8').verify(key, signature, 'base64');
  } catch {
    // Not a certificate: it vouches for nothing. The caller tells of the refusal.
    return false;
  }
}
