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
const HOST_OF_SNS = /^sns\.[a-z0-9-]{3,}\.amazonaws\.com(\.cn)?$/;
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
      if (!isCertificateOfSns(url)) return false;
      return verifies(await certificateAt(url), algorithm, stringToSign(envelope), signature);
    },
  };
}

/** True when the address is one at which only SNS itself can put a certificate. */
export function isCertificateOfSns(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(address);
  const isPlain = [port, username, password, search, hash].every((part) => part === '');
  return (
    protocol === 'https:' && HOST_OF_SNS.test(hostname) && isPlain && pathname.endsWith('.pem')
  );
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
