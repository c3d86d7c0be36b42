/** Fetches a certificate, PEM. @throws when it cannot be had within a few seconds. */
export type FetchCertificate = (url: string) => Promise<string>;

const TIMEOUT_MS = 5_000;
/** One of SNS has about 2 KB. */
const MAX_BYTES = 32 * 1_024;

/** Fetches over HTTP, without following redirections, at most 32 KiB within five seconds. */
export const fetchCertificate: FetchCertificate = async (url) => {
  const answer = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!answer.ok || !answer.body) {
    await answer.body?.cancel();
    throw new Error(`the certificate was answered with ${answer.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Error('the certificate is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('latin1');
};
