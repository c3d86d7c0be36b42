import { markup, type Html } from '../../http/page.js';
import { FORM_TOKEN } from '../access/form-token.js';
import type { ConsoleSession } from '../access/console-session.service.js';

/** The proof that a form was rendered for a session. */
export const formToken = ({ formToken: token }: ConsoleSession): Html =>
  markup`<input type="hidden" name="${FORM_TOKEN}" value="${token}">`;
