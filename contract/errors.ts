/**
 * Every error code the API answers with: its HTTP status and its public title. The one table for
 * the server (which may throw nothing else), the reference page and the SDK.
 *
 * Shape on the wire: RFC 9457 `application/problem+json`, see {@link Problem} in `./shapes.ts`.
 */
export const errorCodes = {
  invalid_json: { status: 400, title: 'The body is not JSON' },
  invalid_encoding: { status: 400, title: 'The body is not UTF-8' },
  unauthorized: { status: 401, title: 'No or unknown credentials' },
  forbidden: { status: 403, title: 'These credentials may not do this' },
  invalid_signature: { status: 403, title: 'The signature does not fit' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'This path has no such method' },
  conflict: { status: 409, title: 'The change no longer fits what is there' },
  conversation_changed: { status: 409, title: 'Messages came since the one you answer' },
  request_in_progress: { status: 409, title: 'The first request with this request_id still runs' },
  cursor_expired: { status: 410, title: 'The cursor leads to events that are no longer kept' },
  body_too_large: { status: 413, title: 'The body is too large' },
  uri_too_long: { status: 414, title: 'The URL is too long' },
  unsupported_media_type: { status: 415, title: 'This content type is not read here' },
  invalid_parameters: { status: 422, title: 'Parameter Error' },
  unknown_field: { status: 422, title: 'Parameter Error' },
  request_id_reused: { status: 422, title: 'This request_id was used with another body' },
  no_sender: { status: 422, title: 'No sender is configured' },
  not_configured: { status: 422, title: 'The business lacks a setting for this' },
  no_address: { status: 422, title: 'The client has no address on this channel' },
  rate_limited: { status: 429, title: 'Too many requests' },
  headers_too_large: { status: 431, title: 'The headers are too large' },
  internal: { status: 500, title: 'A fault of ours' },
  unavailable: { status: 503, title: 'Not available just now' },
  search_too_slow: { status: 503, title: 'The search took too long' },
  not_ready: { status: 503, title: 'Messages may not get out' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof errorCodes;

/** Codes of one fault inside `errors[]` of a 422. */
export type FaultCode =
  | 'required'
  | 'unknown_field'
  | 'invalid_type'
  | 'invalid_format'
  | 'invalid_value'
  | 'too_short'
  | 'too_long'
  | 'too_small'
  | 'too_large'
  | 'too_few'
  | 'too_many'
  | 'invalid_character'
  | 'not_found'
  | 'conflict';
