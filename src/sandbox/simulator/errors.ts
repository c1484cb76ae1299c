/** The errors of Stripe's API: a status, and a JSON body of `{ error: { type, message, code?, param? } }`. */
export interface ApiErrorDetails {
  readonly type?: string;
  readonly code?: string;
  readonly param?: string;
}

export class ApiError extends Error {
  readonly status: number;
  readonly details: ApiErrorDetails;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    message: string,
    details: ApiErrorDetails = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.details = details;
    this.headers = headers;
  }

  body(): string {
    const { type = 'invalid_request_error', code, param } = this.details;
    return JSON.stringify({
      error: {
        ...(code === undefined
          ? {}
          : { code, doc_url: `https://docs.stripe.com/error-codes/${code.replaceAll('_', '-')}` }),
        message: this.message,
        ...(param === undefined ? {} : { param }),
        type,
      },
    });
  }
}

/** An id in a path that does not exist is a 404; in a parameter it is a 400. */
export function noSuch(object: string, id: string, param: string, status: 400 | 404): ApiError {
  return new ApiError(status, `No such ${object}: '${id}'`, { code: 'resource_missing', param });
}

export function unrecognisedUrl(method: string, path: string): ApiError {
  return new ApiError(
    404,
    `Unrecognized request URL (${method}: ${path}). Check the path against Stripe's API reference.`,
  );
}
