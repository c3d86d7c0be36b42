import { sign, type KeyObject } from 'node:crypto';

/** The time in which a certificate is valid. */
export interface Validity {
  readonly from: Date;
  readonly to: Date;
}

const SHA256_WITH_RSA = Buffer.from('300d06092a864886f70d01010b0500', 'hex');
const SERIAL_NUMBER = Buffer.from([0x02, 1, 1]);
const EMPTY_NAME = Buffer.from([0x30, 0]);

/** A minimal X.509 certificate (RFC 5280, 4.1, version 1) as PEM, signed by its own RSA key. */
export function selfSignedCertificate(
  { publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject },
  { from, to }: Validity,
): string {
  const content = sequence(
    SERIAL_NUMBER,
    SHA256_WITH_RSA,
    EMPTY_NAME,
    sequence(time(from), time(to)),
    EMPTY_NAME,
    publicKey.export({ type: 'spki', format: 'der' }),
  );
  const signature = sign('sha256', content, privateKey);
  const bytes = sequence(content, SHA256_WITH_RSA, der(0x03, Buffer.from([0]), signature));
  return `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64')}\n-----END CERTIFICATE-----\n`;
}

const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, ...parts);

const time = (date: Date): Buffer =>
  der(0x18, Buffer.from(`${date.toISOString().replaceAll(/\D/g, '').slice(0, 14)}Z`));

/** Encodes a value of up to 127 bytes, or of 256 and more, up to 64 KiB. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const header = length < 128 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(header), content]);
}
