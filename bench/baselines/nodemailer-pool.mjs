import { createTransport } from 'nodemailer';
import { serveBatches } from './batches.mjs';
import { settings } from './settings.mjs';

// Mails by nodemailer's pool alone, each about 8,300 bytes on the wire, like those of the product.

const transport = createTransport({
  pool: true,
  maxConnections: settings.connections,
  host: settings.host,
  port: settings.smtpPort,
});
const sentence = 'This is a sentence of the length that a sentence in such a mail has. ';
const text = sentence.repeat(9);
const html = `<!doctype html><html lang="en"><body>${`<p>${sentence}</p>`.repeat(89)}</body></html>`;

serveBatches(async ({ count }) => {
  await Promise.all(
    Array.from({ length: count }, (_, index) =>
      transport.sendMail({
        from: 'Bench <no-reply@bench.example>',
        to: `b${index}@bench.example`,
        subject: 'Confirm your address',
        text,
        html,
      }),
    ),
  );
});
