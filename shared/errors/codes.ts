/**
 * Every error that the API and the worker respond with: its HTTP status, its title, and what the client can do about it.
 * Closed: a code not listed here cannot be thrown. `docs/problems.md` is generated from it.
 */
export const errorCodes = {
  malformed_request: {
    status: 400,
    title: 'The request cannot be parsed',
    remedy: 'Send well-formed HTTP and JSON in UTF-8.',
  },
  invalid_token: {
    status: 400,
    title: 'The link is not valid',
    remedy: 'Ask for a new link: this one is wrong, replaced or expired.',
  },
  invalid_cursor: {
    status: 400,
    title: 'The cursor is not valid',
    remedy: 'Start the listing again from its first page.',
  },
  unauthorized: {
    status: 401,
    title: 'A valid access token is needed',
    remedy:
      'Send `Authorization: Bearer ACCESS_TOKEN`; if the token has expired, renew it at `POST /auth/refresh` or log in.',
  },
  invalid_credentials: {
    status: 401,
    title: 'E-mail or password is wrong',
    remedy: 'Check both; the response does not reveal which one.',
  },
  invalid_refresh_token: {
    status: 401,
    title: 'The refresh token is not valid',
    remedy: 'Log in again: it is wrong, expired, ended, or was used before.',
  },
  email_not_confirmed: {
    status: 403,
    title: 'The e-mail address is not confirmed',
    remedy: 'Follow the mailed link, or ask for another at `POST /auth/confirm/resend`.',
  },
  wrong_password: {
    status: 403,
    title: 'The password is wrong',
    remedy:
      'Send the password of the account or, to confirm a registration, the one that was registered.',
  },
  forbidden: {
    status: 403,
    title: 'Requests from this address are not served',
    remedy: 'Ask the worker from its own host or its private network.',
  },
  not_operator: {
    status: 403,
    title: 'This account is not an operator',
    remedy: 'Ask an operator for the role, or log in with an account that has it.',
  },
  read_only: {
    status: 403,
    title: 'This account is read-only',
    remedy: 'Ask an operator to do it: the address is listed in `OPS_READONLY_EMAILS`.',
  },
  cross_site: {
    status: 403,
    title: 'The request does not come from the console',
    remedy: 'Open the page again and send its own form.',
  },
  untrusted_message: {
    status: 403,
    title: 'The origin of the message could not be verified',
    remedy: 'Publish it through the SNS topic that `SES_TOPIC_ARN` names; SNS signs it.',
  },
  not_found: {
    status: 404,
    title: 'The resource was not found',
    remedy: 'Check the path and the id.',
  },
  method_not_allowed: {
    status: 405,
    title: 'The method is not allowed here',
    remedy: 'Use one of the methods that `Allow` names.',
  },
  request_timeout: {
    status: 408,
    title: 'The request took too long to arrive',
    remedy: 'Send it again, faster: headers within 10 seconds, all of it within 15.',
  },
  name_taken: { status: 409, title: 'The name is taken', remedy: 'Choose another name.' },
  email_taken: {
    status: 409,
    title: 'The e-mail address is taken',
    remedy: 'You already have a user with this address.',
  },
  precondition_failed: {
    status: 412,
    title: 'The precondition failed',
    remedy:
      'Send the change without `If-Match` and `If-None-Match`: nothing here has an entity tag.',
  },
  payload_too_large: {
    status: 413,
    title: 'The body is too large',
    remedy: 'Send a smaller body.',
  },
  uri_too_long: {
    status: 414,
    title: 'The address is too long',
    remedy: 'Send at most 2,048 characters.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'The media type is not supported',
    remedy: 'Send `Content-Type: application/json`, not compressed.',
  },
  validation_failed: {
    status: 422,
    title: 'The request does not match its schema',
    remedy: '`errors` names each field and what is wrong with it.',
  },
  too_many_attempts: {
    status: 429,
    title: 'Too many attempts',
    remedy: 'Try again after `Retry-After` seconds.',
  },
  headers_too_large: {
    status: 431,
    title: 'The headers are too large',
    remedy: 'Send at most 8 KiB of headers.',
  },
  password_too_common: {
    status: 422,
    title: 'The password is too easy to guess',
    remedy: 'Choose a longer or less common one.',
  },
  internal: {
    status: 500,
    title: 'An internal error occurred',
    remedy: 'Try again; if it persists, give the operators the `request_id`.',
  },
  overloaded: {
    status: 503,
    title: 'Too many passwords are being checked right now',
    remedy: 'Try again after `Retry-After` seconds.',
  },
  unavailable: {
    status: 503,
    title: 'The service cannot answer right now',
    remedy: 'Try again after `Retry-After` seconds.',
  },
} as const satisfies Record<string, { status: number; title: string; remedy: string }>;

/** The stable, machine-readable name of an error. */
export type ErrorCode = keyof typeof errorCodes;
