/**
 * What a conversation's log says, as a snapshot: snapshot + entry = new snapshot, whatever the order in which pages and
 * live entries arrive. Pure; nothing here knows of the network or of the screen.
 *
 * An entry either stands in the log for itself (a message, or a notice such as "joined") or changes one that does (an
 * edit, a deletion). Changes to entries that are not loaded are not kept: the page that brings the entry brings them too.
 */

import type { Entry } from '@vouch/realtime'

export interface MessageItem {
  readonly type: 'message'
  readonly seq: number
  readonly n: number
  readonly at: number
  readonly by: string
  /** The id that its sender's client chose. */
  readonly id: string
  readonly text: string
  /** The number of the entry that edited it last, 0 when none did. */
  readonly edit: number
  /** Deleted, or its author's account was. */
  readonly gone: boolean
}

export interface NoticeItem {
  readonly type: 'notice'
  readonly seq: number
  readonly n: number
  readonly at: number
  readonly by: string
  readonly id: string
  readonly kind: string
  readonly body: Readonly<Record<string, unknown>>
}

export type Item = MessageItem | NoticeItem

export interface Snapshot {
  /** In the order of their numbers. */
  readonly items: readonly Item[]
  /** The lowest and the highest number of the log that is known; all between is. 0, 0: nothing is. */
  readonly low: number
  readonly high: number
  /** `n` at `high`. */
  readonly n: number
}

/** A page as the server sends it. */
export interface Loaded {
  readonly head: number
  readonly n: number
  readonly entries: readonly Entry[]
  readonly modifiers?: readonly Entry[]
}

export const NOTHING: Snapshot = { items: [], low: 0, high: 0, n: 0 }

const MODIFIERS: ReadonlySet<string> = new Set(['edit', 'delete', 'reaction'])

export function isModifier(entry: Pick<Entry, 'kind' | 'ref'>): boolean {
  return MODIFIERS.has(entry.kind)
}

function textOf(entry: Entry): string {
  const text = entry.body['text']
  return typeof text === 'string' ? text : ''
}

export function itemOf(entry: Entry): Item {
  const { seq, n, at, by, id, kind, body } = entry
  if (kind !== 'message') return { type: 'notice', seq, n, at, by, id, kind, body }
  const gone = entry.gone === true
  return { type: 'message', seq, n, at, by, id, text: gone ? '' : textOf(entry), edit: 0, gone }
}

/** Where the entry with this number stands or would stand. */
function place(items: readonly Item[], seq: number): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((items[middle]?.seq ?? 0) < seq) low = middle + 1
    else high = middle
  }
  return low
}

export function itemAt(snapshot: Snapshot, seq: number): Item | undefined {
  const item = snapshot.items[place(snapshot.items, seq)]
  return item?.seq === seq ? item : undefined
}

/** The message after a modifier; the same object when nothing changes. */
function modified(message: MessageItem, entry: Entry): MessageItem {
  if (entry.kind === 'delete') return message.gone ? message : { ...message, gone: true, text: '' }
  // An edit whose own words were scrubbed belongs to a deleted message.
  if (entry.kind !== 'edit' || message.gone || entry.gone || entry.seq <= message.edit) return message
  return { ...message, text: textOf(entry), edit: entry.seq }
}

function modify(items: Item[], entry: Entry): void {
  if (entry.ref == null) return
  const at = place(items, entry.ref)
  const item = items[at]
  if (item?.type === 'message' && item.seq === entry.ref) items[at] = modified(item, entry)
}

/** Somebody has deleted their account: the words of all their messages go. */
function erase(items: Item[], entry: Entry): void {
  const person = entry.body['person']
  items.forEach((item, at) => {
    if (item.type === 'message' && item.by === person && item.seq < entry.seq && !item.gone) {
      items[at] = { ...item, gone: true, text: '' }
    }
  })
}

/** Puts entries of the log, in order, behind or before what is there, and lets modifiers act. */
function lay(items: Item[], entries: readonly Entry[], modifiers: readonly Entry[]): void {
  for (const entry of entries) {
    if (isModifier(entry)) continue
    const at = place(items, entry.seq)
    if (items[at]?.seq !== entry.seq) items.splice(at, 0, itemOf(entry))
  }
  for (const entry of [...entries, ...modifiers]) {
    if (isModifier(entry)) modify(items, entry)
    else if (entry.kind === 'erased') erase(items, entry)
  }
}

/** A conversation is opened at its newest page. */
export function opened(page: Loaded): Snapshot {
  const first = page.entries[0]
  const last = page.entries.at(-1)
  if (!first || !last) return { items: [], low: page.head + 1, high: page.head, n: page.n }
  const items: Item[] = []
  lay(items, page.entries, page.modifiers ?? [])
  return { items, low: first.seq, high: last.seq, n: last.n }
}

/** The page before what is known. A page that does not touch it changes nothing. */
export function withEarlier(snapshot: Snapshot, page: Loaded): Snapshot {
  const first = page.entries[0]
  const last = page.entries.at(-1)
  if (!first || !last || first.seq >= snapshot.low || last.seq < snapshot.low - 1) return snapshot
  const earlier: Item[] = []
  lay(
    earlier,
    page.entries.filter((entry) => entry.seq < snapshot.low),
    // Modifiers that are known already have met no target when they came.
    page.modifiers ?? [],
  )
  return { ...snapshot, items: [...earlier, ...snapshot.items], low: first.seq }
}

/** The next entry. One that is known, or that leaves a hole, changes nothing: `follows` tells which. */
export function withEntry(snapshot: Snapshot, entry: Entry): Snapshot {
  if (!follows(snapshot, entry)) return snapshot
  const items = [...snapshot.items]
  lay(items, [entry], [])
  return { items, low: snapshot.low, high: entry.seq, n: entry.n }
}

export function follows(snapshot: Snapshot, entry: Pick<Entry, 'seq'>): boolean {
  return entry.seq === snapshot.high + 1
}

/** Everything down to `first` is known. */
export function reaches(snapshot: Snapshot, first: number): boolean {
  return snapshot.low <= Math.max(1, first)
}

