import { escapeControls } from '../../../shared/html/escape-controls.js';

/** How much of a foreign text a page shows. */
const MAX_FOREIGN_LENGTH = 1_000;

/** Text that somebody else has chosen: bounded, control characters visible. */
export const clip = (text: string, maxLength = MAX_FOREIGN_LENGTH): string =>
  escapeControls(
    text.length > maxLength ? `${text.slice(0, maxLength).toWellFormed()}…` : text.toWellFormed(),
  );
