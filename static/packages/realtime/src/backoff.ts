/** When to try again: full jitter, so that a thousand clients of a restarted server do not come at once. */

import { CLOSE } from './generated/protocol.js'
import type { Code } from './generated/protocol.js'

const BASE = 300
const CAP = 20_000
/** Closes that ask for back-off start where the third failure in a row would. */
const PATIENT_ATTEMPT = 3

/** Milliseconds to wait before attempt number `attempt` (0 is the first): uniform below 0.3 s · 2^attempt, at most 20 s. */
export function delay(attempt: number, random: () => number): number {
  return random() * Math.min(CAP, BASE * 2 ** Math.min(attempt, 30))
}

/** As `delay`, but never sooner than the server asked for (`retryAfter` in seconds), and not by everybody at that instant. */
export function delayAfter(attempt: number, retryAfter: number | null | undefined, random: () => number): number {
  return (retryAfter ?? 0) * 1000 * (1 + random() / 4) + delay(attempt, random)
}

/** What a close code means for the connection: come back soon, come back with back-off, or stay away. */
export type Fate = 'resume' | 'back-off' | 'end'

const PATIENT: ReadonlySet<number> = new Set([
  CLOSE.INTERNAL,
  CLOSE.FLOOD,
  CLOSE.TRY_LATER,
  CLOSE.TOO_MANY_CONNECTIONS,
])

/** 4500–4999 end. All else comes back: 4000–4499, and what networks and proxies do (1001, 1006, 1011, 1012 …). */
export function fateOf(code: number): Fate {
  if (code >= 4500 && code <= 4999) return 'end'
  return PATIENT.has(code) ? 'back-off' : 'resume'
}

/** The number of the attempt that follows a close. */
export function nextAttempt(attempt: number, fate: Fate): number {
  return fate === 'back-off' ? Math.max(attempt + 1, PATIENT_ATTEMPT) : attempt + 1
}

const PASSING: ReadonlySet<string> = new Set<Code>(['try_later', 'too_often', 'unavailable', 'internal'])

/** True for refusals that pass by themselves: the same request may be repeated later. */
export function passes(code: string): boolean {
  return PASSING.has(code)
}
