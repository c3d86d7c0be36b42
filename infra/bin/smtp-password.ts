import { createHmac } from 'node:crypto';
import { text } from 'node:stream/consumers';

// `npm run --silent smtp-password -- REGION < SECRET_ACCESS_KEY`: the password with which SES takes a user's access key
// over SMTP. The key is read from standard input, so that it is in no list of processes.

/** https://docs.aws.amazon.com/ses/latest/dg/smtp-credentials.html: a signature of a fixed text, after its version. */
export function smtpPassword(secretAccessKey: string, region: string): string {
  const parts = ['11111111', region, 'ses', 'aws4_request', 'SendRawEmail'];
  const signature = parts.reduce(
    (key, part) => createHmac('sha256', key).update(part).digest(),
    Buffer.from(`AWS4${secretAccessKey}`),
  );
  return Buffer.concat([Buffer.from([0x04]), signature]).toString('base64');
}

if (process.argv[1]?.endsWith('smtp-password.js')) {
  const [, , region = ''] = process.argv;
  const key = process.stdin.isTTY ? '' : (await text(process.stdin)).trim();
  if (!/^[a-z]{2}(?:-[a-z]+)+-\d$/.test(region) || key === '') {
    console.error('usage: npm run --silent smtp-password -- REGION < FILE_WITH_SECRET_ACCESS_KEY');
    process.exitCode = 64;
  } else console.log(smtpPassword(key, region));
}
