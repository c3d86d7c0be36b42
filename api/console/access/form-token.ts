/** The name of the field that every form carries. */
export const FORM_TOKEN = 'csrf';
