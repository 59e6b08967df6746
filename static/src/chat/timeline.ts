/**
 * What a conversation's log says, as a snapshot: snapshot + entry = new snapshot, whatever the order in which pages and
 * live entries arrive. Pure; nothing here knows of the network or of the screen.
 *
 * An entry either stands in the log for itself (a message, or a notice such as "joined") or changes one that does (an
 * edit, a deletion). Changes to entries that are not loaded are not kept: the page that brings the entry brings them too.
 */

import type { Entry, Forwarded, Media } from '@vouch/realtime'

import { markOf, withMark, type Mark } from './marks'

export interface MessageItem {
  readonly type: 'message'
  readonly seq: number
  readonly n: number
  readonly at: number
  readonly by: string
  /** The id that its sender's client chose. */
  readonly id: string
  readonly text: string
  readonly media: readonly Media[]
  /** The message that this one answers. */
  readonly ref: number | null
  /** The message with which the thread began that this one belongs to. */
  readonly thread: number | null
  /** Who is called by name, and whether all are. */
  readonly mentions: readonly string[]
  readonly everybody: boolean
  readonly forwarded: Forwarded | null
  /** The pledge at which these words were at stake. */
  readonly pledge: string | null
  readonly reactions: readonly Mark[]
  /** The number of the entry that edited it last, 0 when none did. */
  readonly edit: number
  /** Deleted, or its author's account was. */
  readonly gone: boolean
  /** Who deleted it, as far as that is known. */
  readonly removedBy: string | null
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

/** What can be read in the body of a message or an edit; a body of another version may lack any of it. */
export interface Words {
  readonly text: string
  readonly media: readonly Media[]
  readonly thread: number | null
  readonly mentions: readonly string[]
  readonly everybody: boolean
  readonly forwarded: Forwarded | null
  readonly pledge: string | null
}

const NO_WORDS: Words = { text: '', media: [], thread: null, mentions: [], everybody: false, forwarded: null, pledge: null }

export function wordsOf(body: Readonly<Record<string, unknown>>): Words {
  const { text, media, thread, mentions, everybody, forwarded, pledge } = body
  return {
    text: typeof text === 'string' ? text : '',
    media: Array.isArray(media) ? (media as Media[]) : NO_WORDS.media,
    thread: typeof thread === 'number' ? thread : null,
    mentions: Array.isArray(mentions) ? (mentions as string[]) : NO_WORDS.mentions,
    everybody: everybody === true,
    forwarded: forwarded !== null && typeof forwarded === 'object' ? (forwarded as Forwarded) : null,
    pledge: typeof pledge === 'string' ? pledge : null,
  }
}

export function itemOf(entry: Entry): Item {
  const { seq, n, at, by, id, kind, body } = entry
  if (kind !== 'message') return { type: 'notice', seq, n, at, by, id, kind, body }
  const base = { type: 'message', seq, n, at, by, id, ref: entry.ref ?? null, reactions: [], edit: 0, removedBy: null } as const
  if (entry.gone === true) return { ...base, ...NO_WORDS, gone: true }
  return { ...base, ...wordsOf(body), gone: false }
}

/** As the log shows it from now on: a number, a time and an author. */
export function emptied(message: MessageItem, by: string | null): MessageItem {
  return { ...message, ...NO_WORDS, reactions: [], gone: true, removedBy: by ?? message.removedBy }
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
export function modified(message: MessageItem, entry: Entry): MessageItem {
  if (entry.kind === 'delete') return message.gone && message.removedBy !== null ? message : emptied(message, entry.by)
  if (message.gone) return message
  if (entry.kind === 'reaction') {
    const mark = markOf(entry)
    const reactions = mark === null ? message.reactions : withMark(message.reactions, mark)
    return reactions === message.reactions ? message : { ...message, reactions }
  }
  // An edit whose own words were scrubbed belongs to a deleted message.
  if (entry.kind !== 'edit' || entry.gone || entry.seq <= message.edit) return message
  const { text, mentions, everybody } = wordsOf(entry.body)
  return { ...message, text, mentions, everybody, edit: entry.seq }
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
      items[at] = emptied(item, null)
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

/** The page behind what is known. A page that does not touch it changes nothing. */
export function withLater(snapshot: Snapshot, page: Loaded): Snapshot {
  const fresh = page.entries.filter((entry) => entry.seq > snapshot.high)
  const last = fresh.at(-1)
  if (!last || fresh[0]?.seq !== snapshot.high + 1) return snapshot
  const items = [...snapshot.items]
  lay(items, fresh, page.modifiers ?? [])
  return { items, low: snapshot.low, high: last.seq, n: last.n }
}

/** What a later entry changes in what is known, though there may be unknown entries between. */
export function altered(snapshot: Snapshot, entry: Entry): Snapshot {
  const items = [...snapshot.items]
  if (isModifier(entry)) modify(items, entry)
  else if (entry.kind === 'erased') erase(items, entry)
  return items.some((item, at) => item !== snapshot.items[at]) ? { ...snapshot, items } : snapshot
}

export function follows(snapshot: Snapshot, entry: Pick<Entry, 'seq'>): boolean {
  return entry.seq === snapshot.high + 1
}

/** Everything down to `first` is known. */
export function reaches(snapshot: Snapshot, first: number): boolean {
  return snapshot.low <= Math.max(1, first)
}

