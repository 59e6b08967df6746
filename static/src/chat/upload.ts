/**
 * One file on its way to the server, in pieces: what to do next, and what an answer or a fault makes of it. Pure.
 *
 * How much has arrived is what the server says: after any fault it is asked before another byte is sent, so that lost
 * requests, lost answers and repeats do no harm. Passing faults are waited out, for ever if need be; a person cancels.
 */

import type { Media } from '@vouch/realtime'

import type { FaultCode } from '../api/fault'
import type { Upload } from '../api/types'

/** `message` is the server's English sentence; people read the one of their language, by the code. */
export interface Reason {
  readonly code: string
  readonly message: string
}

/**
 * `new`: the server knows nothing of it. `unsure`: it does, and is asked how much it has. `processing`: it has all of
 * it. The last three end: `refused` is the server's word about the content, `failed` about the request.
 */
export type Phase = 'new' | 'unsure' | 'sending' | 'processing' | 'ready' | 'refused' | 'failed'

export interface Course {
  readonly phase: Phase
  /** The server's id for it. */
  readonly upload: string | null
  /** Bytes in all, and how many have arrived for certain. */
  readonly size: number
  readonly offset: number
  /** Bytes of the next piece, and the most that the server takes at once. */
  readonly piece: number
  readonly chunk: number
  /** Milliseconds to wait before the next step. */
  readonly pause: number
  /** Faults since something last went well; looks at the server while it processes; beginnings from the first byte. */
  readonly tries: number
  readonly looks: number
  readonly begun: number
  readonly media: Media | null
  /** Why it was refused or failed. */
  readonly fault: Reason | null
}

export type Step =
  | { readonly do: 'create' }
  | { readonly do: 'ask'; readonly upload: string }
  | { readonly do: 'send'; readonly upload: string; readonly from: number; readonly to: number }
  | { readonly do: 'rest' }

export interface Trouble {
  readonly code: FaultCode
  readonly message: string
  /** Seconds. */
  readonly retryAfter: number | null
}

/** A piece should take about this long, so that the bar moves and little is sent twice. Milliseconds. */
const PIECE_LASTS = 1_200
const PIECE_FIRST = 128 * 1024
const PIECE_LEAST = 64 * 1024 // the server takes no smaller one, but for the last
const PAUSE_FIRST = 400
const PAUSE_MOST = 20_000
const LOOK_FIRST = 150
const LOOK_MOST = 2_500
/** Faults of the server's own making that are believed to pass. */
const INTERNAL_TRIES = 8
/** Offsets that do not fit, one after the other: somebody else sends the same upload. */
const CONFLICT_TRIES = 12
/** So often a server may lose an upload as a whole. */
const BEGUN_MOST = 4

const PASSING: ReadonlySet<FaultCode> = new Set<FaultCode>(['offline', 'try_later', 'too_often', 'unavailable', 'unauthenticated', 'xsrf'])

export function courseOf(size: number, upload: string | null = null): Course {
  return {
    phase: upload === null ? 'new' : 'unsure',
    upload,
    size,
    offset: 0,
    piece: PIECE_FIRST,
    chunk: PIECE_FIRST,
    pause: 0,
    tries: 0,
    looks: 0,
    begun: 0,
    media: null,
    fault: null,
  }
}

export function isOver(course: Course): boolean {
  return course.phase === 'ready' || course.phase === 'refused' || course.phase === 'failed'
}

/** What to do once the pause is over. */
export function stepOf(course: Course): Step {
  if (isOver(course)) return { do: 'rest' }
  if (course.upload === null) return { do: 'create' }
  if (course.phase !== 'sending') return { do: 'ask', upload: course.upload }
  const to = Math.min(course.size, course.offset + Math.min(course.piece, course.chunk))
  return { do: 'send', upload: course.upload, from: course.offset, to }
}

/** The next piece, from how long the last one took. */
function pieceAfter(course: Course, milliseconds: number): number {
  if (milliseconds > PIECE_LASTS * 2) return Math.max(PIECE_LEAST, Math.floor(course.piece / 2))
  return milliseconds < PIECE_LASTS ? Math.min(course.chunk, course.piece * 2) : course.piece
}

/** Any answer about the upload; `milliseconds` is how long a piece took, null when none was sent. */
export function answered(course: Course, upload: Upload, milliseconds: number | null = null): Course {
  const known: Course = { ...course, upload: upload.id, chunk: Math.max(1, upload.chunk), pause: 0 }
  if (upload.state === 'ready' && upload.media) return { ...known, phase: 'ready', offset: course.size, tries: 0, media: upload.media }
  if (upload.state === 'refused') return { ...known, phase: 'refused', fault: upload.fault ?? { code: 'failed', message: '' } }
  if (upload.size !== course.size) return { ...known, phase: 'failed', fault: { code: 'conflict', message: '' } }
  if (upload.state !== 'receiving' || upload.offset >= course.size) {
    const looks = course.phase === 'processing' ? course.looks + 1 : 0
    return { ...known, phase: 'processing', offset: course.size, tries: 0, looks, pause: Math.min(LOOK_MOST, LOOK_FIRST * 1.5 ** Math.min(looks, 20)) }
  }
  const moved = upload.offset > course.offset || course.upload === null
  // A server that takes pieces and keeps nothing of them must not be flooded with them.
  const idle = milliseconds !== null && !moved
  return {
    ...known,
    phase: 'sending',
    offset: upload.offset,
    tries: moved ? 0 : course.tries + (idle ? 1 : 0),
    pause: idle ? PAUSE_FIRST : 0,
    piece: milliseconds === null ? course.piece : pieceAfter(known, milliseconds),
  }
}

function pauseAfter(tries: number, retryAfter: number | null, random: number): number {
  const longest = Math.min(PAUSE_MOST, PAUSE_FIRST * 2 ** Math.min(tries, 20))
  return (retryAfter ?? 0) * 1000 * (1 + random / 4) + longest * (0.5 + random / 2)
}

/** No answer, or a refusal of the request. `random`: 0 ≤ x < 1. */
export function faulted(course: Course, { code, message, retryAfter }: Trouble, random: number): Course {
  const tries = course.tries + 1
  const later: Course = {
    ...course,
    phase: course.upload === null ? 'new' : 'unsure',
    tries,
    pause: pauseAfter(tries, retryAfter, random),
    piece: Math.max(PIECE_LEAST, Math.floor(course.piece / 2)),
  }
  const failed: Course = { ...course, phase: 'failed', pause: 0, fault: { code, message } }
  if (PASSING.has(code)) return later
  if (code === 'internal') return tries < INTERNAL_TRIES ? later : failed
  if (course.upload !== null && code === 'conflict') {
    // The first time it is only a lost answer: no reason to wait.
    return tries < CONFLICT_TRIES ? { ...later, pause: tries === 1 ? 0 : later.pause } : failed
  }
  if (course.upload !== null && code === 'not_found' && course.begun + 1 < BEGUN_MOST) {
    return { ...later, phase: 'new', upload: null, offset: 0, looks: 0, begun: course.begun + 1 }
  }
  return failed
}

/** The person tries again. What was refused for its content begins from its first byte. */
export function again(course: Course): Course {
  if (course.phase === 'failed') return courseOf(course.size, course.upload)
  return course.phase === 'refused' ? courseOf(course.size) : course
}

/** The connection is back: whatever waits need not. */
export function hurried(course: Course): Course {
  return course.pause > 0 && course.tries > 0 ? { ...course, pause: 0 } : course
}

/** How much of it has arrived, 0 … 1; `more` bytes of the present piece have left. */
export function shareOf(course: Course, more = 0): number {
  if (course.phase === 'ready') return 1
  return course.size === 0 ? 0 : Math.min(1, (course.offset + more) / course.size)
}
