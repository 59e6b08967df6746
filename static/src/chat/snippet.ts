/** The part of a text that shows why it was found, cut into what matches and what does not. Pure. */

import type { Hit } from '../api/types'

type Range = Hit['ranges'][number]

export interface Piece {
  readonly text: string
  readonly match: boolean
}

/** Characters before the first match, and in all. */
const BEFORE = 28
const LONGEST = 180

const oneLine = (text: string): string => text.replace(/\s+/gu, ' ')

/** Not inside of a surrogate pair, and rather between words than in one. */
function start(text: string, at: number): number {
  if (at <= 0) return 0
  const blank = text.slice(at, at + BEFORE / 2).search(/\s/u)
  const from = blank >= 0 ? at + blank + 1 : at
  return from + (isLow(text, from) ? 1 : 0)
}

function isLow(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code >= 0xdc00 && code <= 0xdfff
}

/** `ranges` are in order and do not overlap, as the server sends them; without any, the text from its beginning. */
export function snippetOf(text: string, ranges: readonly Range[]): Piece[] {
  const first = ranges[0]?.begin ?? 0
  const from = first > BEFORE * 1.5 ? start(text, first - BEFORE) : 0
  const end = Math.min(text.length, from + LONGEST)
  const to = isLow(text, end) ? end - 1 : end
  const pieces: Piece[] = []
  const add = (piece: string, match: boolean): void => {
    if (piece) pieces.push({ text: oneLine(piece), match })
  }
  if (from > 0) add('…', false)
  let at = from
  for (const { begin, end: stop } of ranges) {
    if (begin >= to) break
    add(text.slice(at, Math.max(at, begin)), false)
    add(text.slice(Math.max(at, begin), Math.min(stop, to)), true)
    at = Math.min(stop, to)
  }
  add(text.slice(at, to), false)
  if (to < text.length) add('…', false)
  return pieces
}
