/** Threads: a message and what answers it, directly or by way of other answers. Pure. */

import type { Entry } from '@vouch/realtime'

import { emptied, isModifier, itemOf, modified, type Item, type MessageItem } from './timeline'

/** The answers to a message, as a line below it. */
export interface Replies {
  readonly count: number
  /** Who answered, in the order of their first answer. */
  readonly people: readonly string[]
  /** When the last one did. */
  readonly at: number
}

/** The answers among these items, by the number of the message with which their thread began. Deleted ones do not count. */
export function threadsOf(items: readonly Item[]): Map<number, Replies> {
  const threads = new Map<number, Replies>()
  for (const item of items) {
    if (item.type !== 'message' || item.thread === null || item.gone) continue
    const before = threads.get(item.thread)
    const people = before?.people ?? []
    threads.set(item.thread, {
      count: (before?.count ?? 0) + 1,
      people: people.includes(item.by) ? people : [...people, item.by],
      at: item.at,
    })
  }
  return threads
}

/** Where not all answers are loaded, the server knows of more. */
export function withCounted(threads: ReadonlyMap<number, Replies>, counted: ReadonlyMap<number, Replies> | undefined): ReadonlyMap<number, Replies> {
  if (!counted) return threads
  const merged = new Map(threads)
  for (const [root, replies] of counted) if (replies.count > (merged.get(root)?.count ?? 0)) merged.set(root, replies)
  return merged
}

// ── The side view of one thread ───────────────────────────────────────────────────────────────────────────────────

export interface ThreadSnapshot {
  /** The number of the message with which it began. */
  readonly seq: number
  /** Null: from before one's time. */
  readonly root: MessageItem | null
  readonly replies: readonly MessageItem[]
  /** There are older answers than these. */
  readonly more: boolean
  /** The number of the newest entry of the log that is taken into account. */
  readonly high: number
}

/** A page of a thread as the server sends it. */
export interface ThreadLoaded {
  readonly head: number
  readonly root: Entry | null
  readonly replies: readonly Entry[]
  readonly modifiers: readonly Entry[]
  readonly more: boolean
}

function messageOf(entry: Entry, modifiers: readonly Entry[]): MessageItem[] {
  const item = itemOf(entry)
  if (item.type !== 'message') return []
  return [modifiers.reduce((message, each) => (each.ref === message.seq ? modified(message, each) : message), item)]
}

/** A deleted answer is none; the beginning stays in its place. */
const standing = (message: MessageItem): boolean => !message.gone

function repliesOf({ replies, modifiers }: ThreadLoaded): MessageItem[] {
  return replies.flatMap((entry) => messageOf(entry, modifiers)).filter(standing)
}

export function openedThread(seq: number, page: ThreadLoaded): ThreadSnapshot {
  const root = page.root ? (messageOf(page.root, page.modifiers)[0] ?? null) : null
  return { seq, root, replies: repliesOf(page), more: page.more, high: page.head }
}

/** The answers before those that are known; what was done to them since the page was asked for comes as `late`. */
export function withEarlierReplies(snapshot: ThreadSnapshot, page: ThreadLoaded, late: readonly Entry[]): ThreadSnapshot {
  const lowest = snapshot.replies[0]?.seq ?? Infinity
  const earlier = repliesOf(page).filter((reply) => reply.seq < lowest)
  const whole = late.reduce((replies, entry) => altered(replies, entry), earlier)
  return { ...snapshot, replies: [...whole, ...snapshot.replies], more: page.more }
}

function altered(replies: readonly MessageItem[], entry: Entry): MessageItem[] {
  if (entry.kind === 'erased') return replies.filter((reply) => reply.by !== entry.body['person'])
  return replies.map((reply) => (reply.seq === entry.ref ? modified(reply, entry) : reply)).filter(standing)
}

/** A live entry of the conversation. Each has to come once and in order; what was known already changes nothing. */
export function withThreadEntry(snapshot: ThreadSnapshot, entry: Entry): ThreadSnapshot {
  if (entry.seq <= snapshot.high) return snapshot
  const after = { ...snapshot, high: entry.seq }
  if (isModifier(entry) || entry.kind === 'erased') {
    const root = after.root && rootAfter(after.root, entry)
    return { ...after, root, replies: altered(after.replies, entry) }
  }
  const item = itemOf(entry)
  return item.type === 'message' && item.thread === snapshot.seq && standing(item) ? { ...after, replies: [...after.replies, item] } : after
}

function rootAfter(root: MessageItem, entry: Entry): MessageItem {
  if (entry.kind !== 'erased') return entry.ref === root.seq ? modified(root, entry) : root
  return entry.body['person'] === root.by ? emptied(root, null) : root
}
