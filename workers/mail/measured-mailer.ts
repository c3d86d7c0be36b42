import type { Metrics } from '../../shared/metrics/metrics.js';
import type { Mailer } from './mail.port.js';

/** The mailer with the time of each mail measured. What was aborted from here is not counted. */
export const measuredMailer = (mailer: Mailer, metrics: Pick<Metrics, 'observe'>): Mailer => ({
  async send(mail, signal, options) {
    const startedAt = performance.now();
    const record = (result: 'accepted' | 'failed'): void =>
      metrics.observe('rollcall_smtp_send_seconds', (performance.now() - startedAt) / 1_000, {
        result,
      });
    try {
      const receipt = await mailer.send(mail, signal, options);
      record('accepted');
      return receipt;
    } catch (error) {
      if (!signal.aborted) record('failed');
      throw error;
    }
  },
  close: () => mailer.close(),
});
