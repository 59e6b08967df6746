/** Reactions on a message. The newest word of each person about each emoji counts, in whatever order they arrive. Pure. */

import type { Entry, Pending } from '@vouch/realtime'

/** What one person last said about one emoji, also that they took it away. */
export interface Mark {
  readonly emoji: string
  readonly by: string
  /** The number of the entry. */
  readonly seq: number
  readonly on: boolean
}

/** One emoji under a message, with everybody who put it there. */
export interface Chip {
  readonly emoji: string
  /** In the order in which they came. */
  readonly people: readonly string[]
  readonly own: boolean
}

export function markOf(entry: Entry): Mark | null {
  const { emoji, on } = entry.body
  return typeof emoji === 'string' && emoji !== '' ? { emoji, by: entry.by, seq: entry.seq, on: on === true } : null
}

/** The same array when the mark is an older word. */
export function withMark(marks: readonly Mark[], mark: Mark): readonly Mark[] {
  const at = marks.findIndex((each) => each.emoji === mark.emoji && each.by === mark.by)
  const before = marks[at]
  if (!before) return [...marks, mark]
  return before.seq >= mark.seq ? marks : marks.with(at, mark)
}

/** Most messages have none; always the same one, so that nothing is drawn anew. */
const NONE: readonly Chip[] = []

/** What a reader sees: own marks that are not sent yet count already, those that failed do not. */
export function chipsOf(marks: readonly Mark[], me: string, unsent: readonly Pending[] = []): readonly Chip[] {
  if (marks.length === 0 && unsent.length === 0) return NONE
  let all = marks
  let late = Number.MAX_SAFE_INTEGER - unsent.length
  for (const pending of unsent) {
    const emoji = pending.body['emoji']
    if (pending.state === 'failed' || typeof emoji !== 'string') continue
    const known = all.find((each) => each.emoji === emoji && each.by === me)
    const on = pending.body['on'] === true
    // What is there already keeps its place.
    if (known?.on !== on) all = withMark(all, { emoji, by: me, seq: (late += 1), on })
  }
  const chips = new Map<string, string[]>()
  for (const { emoji, by, on } of all.toSorted((a, b) => a.seq - b.seq)) {
    if (!on) continue
    const people = chips.get(emoji)
    if (people) people.push(by)
    else chips.set(emoji, [by])
  }
  return [...chips].map(([emoji, people]) => ({ emoji, people, own: people.includes(me) }))
}
