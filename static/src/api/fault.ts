/** Why a request did not do what it should. `offline` is ours: no answer came at all. */

import type { Code } from '@vouch/realtime'

export type FaultCode = Code | 'offline'

const KNOWN: ReadonlySet<string> = new Set<Code>([
  'already',
  'amount_limit',
  'bad_offer',
  'bad_picture',
  'bad_request',
  'blocked',
  'busy',
  'closed',
  'conflict',
  'cooling',
  'factor_needed',
  'forbidden',
  'guardian_needed',
  'handle_taken',
  'idempotency_conflict',
  'insufficient_funds',
  'internal',
  'limit_reached',
  'location_alone',
  'malformed',
  'method_not_allowed',
  'money_left',
  'nonce_stale',
  'nonce_used',
  'not_found',
  'not_live',
  'out_of_order',
  'phone_taken',
  'picture_reused',
  'range_not_satisfiable',
  'silenced',
  'stale',
  'suspended',
  'too_large',
  'too_often',
  'try_later',
  'unauthenticated',
  'unavailable',
  'unknown_frame',
  'unsupported_version',
  'wrong_credentials',
  'wrong_factor',
  'xsrf',
])

export class Fault extends Error {
  override readonly name = 'Fault'

  constructor(
    readonly code: FaultCode,
    /** The server's English sentence, for logs. People read the one of their language. */
    message: string,
    /** The field of the request that was refused, in dotted form. */
    readonly field: string | null = null,
    /** Seconds to wait. */
    readonly retryAfter: number | null = null,
    readonly requestId: string | null = null,
  ) {
    super(message)
  }
}

/** The code of anything that was thrown. */
export function faultCode(error: unknown): FaultCode {
  if (error instanceof Fault) return error.code
  const code: unknown = error !== null && typeof error === 'object' ? Reflect.get(error, 'code') : undefined
  if (code === 'timeout') return 'offline' // the realtime client waited in vain
  return typeof code === 'string' && KNOWN.has(code) ? (code as Code) : 'internal'
}

/** A fault from the body of an answer, whatever came back. */
export function faultFrom(status: number, body: unknown, retryAfter: string | null): Fault {
  const error: unknown = body !== null && typeof body === 'object' ? Reflect.get(body, 'error') : undefined
  const get = (name: string): unknown => (error !== null && typeof error === 'object' ? Reflect.get(error, name) : undefined)
  const code = get('code')
  const message = get('message')
  const field = get('field')
  const wait = get('retry_after') ?? (retryAfter === null ? undefined : Number(retryAfter))
  const request = get('request_id')
  const fallback: FaultCode = status === 502 || status === 503 || status === 504 ? 'unavailable' : 'internal'
  return new Fault(
    typeof code === 'string' && KNOWN.has(code) ? (code as Code) : fallback,
    typeof message === 'string' ? message : `HTTP ${status}`,
    typeof field === 'string' ? field : null,
    typeof wait === 'number' && Number.isFinite(wait) ? wait : null,
    typeof request === 'string' ? request : null,
  )
}
