import type { Code, ErrorFrame } from './generated/protocol.js'

/** `timeout`: no answer came. `closed`: the client was closed, or the sign-in has ended. `aborted`: the caller gave up. */
export type FaultCode = Code | 'timeout' | 'closed' | 'aborted'

/** A refusal by the server, or the end of waiting for it. */
export class RealtimeError extends Error {
  override readonly name = 'RealtimeError'
  readonly code: FaultCode
  readonly field: string | undefined
  /** Seconds. */
  readonly retryAfter: number | undefined

  constructor(code: FaultCode, message?: string, more: { field?: string | null; retryAfter?: number | null } = {}) {
    super(message ?? code)
    this.code = code
    this.field = more.field ?? undefined
    this.retryAfter = more.retryAfter ?? undefined
  }

  static from(frame: ErrorFrame): RealtimeError {
    return new RealtimeError(frame.code, frame.message, {
      field: frame.field ?? null,
      retryAfter: frame.retry_after ?? null,
    })
  }
}
