import { createLogger } from '../../../../shared/logging/logger.js';
import { logStrayOutput } from '../../../../shared/logging/stray-output.js';

/** Prints in every way that libraries do. */
logStrayOutput(createLogger({ service: 'rollcall-test', environment: 'test', level: 'debug' }));

/* oxlint-disable no-console */
console.log('one %s', 'two');
console.debug({ three: 3 });
console.warn('several\nlines');
console.error(new Error('four'));
process.emitWarning('five', 'DeprecationWarning', 'DEP9999');
