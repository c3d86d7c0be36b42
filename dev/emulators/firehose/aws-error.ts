/** An error response of the AWS JSON 1.1 protocol; `type` is the SDK's name of the exception. */
export class AwsError extends Error {
  constructor(
    readonly status: 400 | 403 | 413 | 500,
    readonly type: string,
    message: string,
  ) {
    super(message);
    this.name = 'AwsError';
  }
}

/** The service is temporarily unavailable, or the stream is over capacity. Clients retry. */
export function serviceUnavailable(): AwsError {
  return new AwsError(500, 'ServiceUnavailableException', 'Service is unavailable. Slow down.');
}

/** The account's call rate is exceeded. Clients retry later. */
export function throttled(): AwsError {
  return new AwsError(400, 'ThrottlingException', 'Rate exceeded');
}
