/** An answer in the shape of an AWS JSON 1.1 error: `type` is the name that an SDK gives the exception. */
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

/** The whole service, or the stream's capacity, is not available for the moment; retry. */
export function serviceUnavailable(): AwsError {
  return new AwsError(500, 'ServiceUnavailableException', 'Service is unavailable. Slow down.');
}

/** The account's rate of calls is exceeded; retry later. */
export function throttled(): AwsError {
  return new AwsError(400, 'ThrottlingException', 'Rate exceeded');
}
