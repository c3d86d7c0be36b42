import { createVerify, X509Certificate } from 'node:crypto';
import { AppError } from '../../../shared/errors/app-error.js';
import { maskError } from '../../../shared/logging/mask.js';
import { stringToSign, type SnsEnvelope } from './sns-envelope.js';

/** Verifies the signatures of SNS messages. */
export interface SnsVerifier {
  /**
   * False for an unsigned message.
   * @throws {AppError} `untrusted_message` when the certificate is malformed, not valid yet or expired; another error
   *   when it cannot be fetched now.
   */
  isSignedBySns(envelope: SnsEnvelope): Promise<boolean>;
}

/** Fetches a certificate as PEM. @throws when that fails or takes more than a few seconds. */
export type FetchCertificate = (url: string) => Promise<string>;

const ALGORITHMS = new Map([
  ['1', 'RSA-SHA1'],
  ['2', 'RSA-SHA256'],
]);
/** `arn:PARTITION:sns:REGION:…`. A region's first part has letters only: others name buckets, such as `s3-us-west-2`. */
const TOPIC = /^arn:(aws|aws-cn|aws-us-gov):sns:([a-z]{2}(?:-[a-z]+){1,2}-\d{1,2}):/;
/** Bounds the cache: each region has one certificate at a time, but a sender may name any number. */
const MAX_CERTIFICATES = 20;
const FETCH_TIMEOUT_MS = 5_000;
/** A certificate of SNS has about 2 KB. */
const MAX_CERTIFICATE_BYTES = 32 * 1_024;

/**
 * Verifies with certificates from SNS's own hosts only, each fetched once and kept until it expires.
 * @param now the time in milliseconds.
 */
export function createSnsVerifier(
  fetchCertificate: FetchCertificate,
  now: () => number = Date.now,
): SnsVerifier {
  const certificates = new Map<string, Promise<string>>();
  return {
    async isSignedBySns(envelope) {
      const { Signature: signature, SigningCertURL: url, SignatureVersion: version } = envelope;
      const algorithm = ALGORITHMS.get(version ?? '');
      if (signature === undefined || url === undefined || algorithm === undefined) return false;
      if (!isCertificateOfSns(url, envelope.TopicArn)) return false;
      const pem = await cachedCertificate(certificates, url, fetchCertificate);
      try {
        const certificate = parseCertificate(pem, now());
        return verifies(certificate, algorithm, stringToSign(envelope), signature);
      } catch (error) {
        // A renewed certificate may have the same address.
        certificates.delete(url);
        throw new AppError('untrusted_message', { cause: maskError(error) });
      }
    },
  };
}

/** From the cache, or fetched: concurrent callers share one request, and a failed one is not cached. */
function cachedCertificate(
  cache: Map<string, Promise<string>>,
  url: string,
  fetchCertificate: FetchCertificate,
): Promise<string> {
  const cached = cache.get(url);
  if (cached) return cached;
  const [oldest] = cache.keys();
  if (cache.size >= MAX_CERTIFICATES && oldest !== undefined) cache.delete(oldest);
  const fetched = fetchCertificate(url);
  cache.set(url, fetched);
  fetched.catch(() => cache.delete(url));
  return fetched;
}

/** True for an address on SNS's own host in the region of the topic. */
export function isCertificateOfSns(address: string, topicArn: string): boolean {
  const [, partition, region] = TOPIC.exec(topicArn) ?? [];
  if (region === undefined || !URL.canParse(address)) return false;
  const host = `sns.${region}.amazonaws.com${partition === 'aws-cn' ? '.cn' : ''}`;
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(address);
  const isPlain = [port, username, password, search, hash].every((part) => part === '');
  return protocol === 'https:' && hostname === host && isPlain && pathname.endsWith('.pem');
}

/** @throws for what is no certificate, and for one that is not valid at a time in milliseconds. */
function parseCertificate(pem: string, time: number): X509Certificate {
  const certificate = new X509Certificate(pem);
  // Negated, so that a date that cannot be read is refused.
  if (!(time >= Date.parse(certificate.validFrom)))
    throw new Error('the certificate is not valid yet');
  if (!(time <= Date.parse(certificate.validTo))) throw new Error('the certificate has expired');
  return certificate;
}

function verifies(
  { publicKey }: X509Certificate,
  algorithm: string,
  text: string,
  signature: string,
): boolean {
  if (publicKey.asymmetricKeyType !== 'rsa') return false;
  return createVerify(algorithm).update(text, 'utf8').verify(publicKey, signature, 'base64');
}

/** Fetches over HTTP without following redirects: at most 32 KiB, within five seconds. */
export const fetchCertificate: FetchCertificate = async (url) => {
  const response = await fetch(url, {
    redirect: 'error',
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  });
  if (!response.ok || !response.body) {
    await response.body?.cancel();
    throw new Error(`the certificate was answered with ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > MAX_CERTIFICATE_BYTES) throw new Error('the certificate is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('latin1');
};
