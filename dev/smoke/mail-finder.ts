import { setTimeout as delay } from 'node:timers/promises';

/** Finds mails in a mail catcher by the JSON API of maildev or Mailpit. */
export interface MailFinder {
  /** Waits for a mail to the address and resolves to the token in its link. Rejects after `timeoutMs`. */
  waitForToken(address: string, timeoutMs: number): Promise<string>;
}

/** A finder for the mail catcher whose web page is at `url`. */
export function createMailFinder(url: string): MailFinder {
  const base = url.replace(/(?<!\/)\/+$/, '');
  return {
    async waitForToken(address, timeoutMs) {
      const deadline = Date.now() + timeoutMs;
      while (Date.now() < deadline) {
        for (const text of await readMails(base, address)) {
          const token = /[?&]token=([\w.~%-]+)/.exec(text)?.[1];
          if (token !== undefined) return decodeURIComponent(token);
        }
        await delay(200);
      }
      throw new Error(`no mail to ${address} with a link in ${timeoutMs} ms, at ${base}`);
    },
  };
}

async function readMails(base: string, address: string): Promise<string[]> {
  const maildev = await readJson<{ text?: string; html?: string }[]>(
    `${base}/email?envelope.to.address=${encodeURIComponent(address)}`,
  );
  if (maildev !== undefined) return maildev.map((mail) => mail.text ?? mail.html ?? '');
  const mailpit = await readJson<{ messages: { ID: string }[] }>(
    `${base}/api/v1/search?query=${encodeURIComponent(`to:"${address}"`)}`,
  );
  if (mailpit === undefined) throw new Error(`${base} is neither maildev nor Mailpit`);
  const mails = await Promise.all(
    mailpit.messages.map(({ ID }) =>
      readJson<{ Text: string }>(`${base}/api/v1/message/${encodeURIComponent(ID)}`),
    ),
  );
  return mails.map((mail) => mail?.Text ?? '');
}

async function readJson<Answer>(url: string): Promise<Answer | undefined> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) });
  const isJson = answer.headers.get('content-type')?.includes('json') === true;
  if (answer.ok && isJson) return (await answer.json()) as Answer;
  await answer.arrayBuffer();
  return undefined;
}
