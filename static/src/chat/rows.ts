/** A snapshot and the unsent messages as the rows that a reader sees. Pure. */

import type { Forwarded, Media, Pending } from '@vouch/realtime'

import { dayOf, type Clock } from '../times'
import { chipsOf, type Chip } from './marks'
import { threadsOf, withCounted, type Replies } from './threads'
import { wordsOf, type Item, type MessageItem, type NoticeItem } from './timeline'

/** Milliseconds after which the next message of the same person begins a new group. */
const GROUP = 5 * 60_000

export type MessageState = 'waiting' | 'sending' | 'failed' | 'sent' | 'delivered' | 'read'

export interface DayRow {
  readonly type: 'day'
  readonly key: string
  readonly at: number
}

export interface UnreadRow {
  readonly type: 'unread'
  readonly key: string
}

export interface NoticeRow {
  readonly type: 'notice'
  readonly key: string
  readonly seq: number
  readonly n: number
  readonly item: NoticeItem
}

export interface MessageRow {
  readonly type: 'message'
  readonly key: string
  /** 0 while it has no number yet. */
  readonly seq: number
  readonly n: number
  readonly at: number
  readonly by: string
  readonly own: boolean
  readonly text: string
  readonly media: readonly Media[]
  readonly mentions: readonly string[]
  readonly everybody: boolean
  /** The reader is called, by name or with all. */
  readonly calls: boolean
  readonly forwarded: Forwarded | null
  readonly pledge: string | null
  /** The message that this one answers, and what it says as far as that is known; null where nothing is to be shown. */
  readonly ref: number | null
  readonly quote: MessageItem | null
  /** The message with which the thread began that this one belongs to, and the answers to this one. */
  readonly thread: number | null
  readonly replies: Replies | null
  readonly chips: readonly Chip[]
  readonly pinned: boolean
  readonly edited: boolean
  readonly gone: boolean
  readonly removedBy: string | null
  /** First and last of a group of one person's messages. */
  readonly first: boolean
  readonly last: boolean
  /** Null for the messages of others. */
  readonly state: MessageState | null
  /** How many others have read it (own messages only). */
  readonly readers: number
  /** The unsent thing behind this row: the message itself, or a change of it. */
  readonly pending: Pending | null
}

export type Row = DayRow | UnreadRow | NoticeRow | MessageRow

export interface Viewer {
  readonly me: string
  readonly clock: Clock
  /** The divider of new messages stands before the first of the others' messages after this number; null: nowhere. */
  readonly unreadAfter: number | null
  /** How far the others are. */
  readonly positions: Iterable<{ readonly read: number; readonly delivered: number }>
  /** Direct conversations say so in words elsewhere: "created" is not shown. */
  readonly direct: boolean
  /** The numbers of the messages on top. */
  readonly pins?: ReadonlySet<number>
  /** Messages outside the page that are quoted in it. */
  readonly quoted?: (seq: number) => MessageItem | null
  /** Threads whose answers are not all loaded, as the server counts them. */
  readonly threads?: ReadonlyMap<number, Replies>
  /** The side view of one thread: what answers its beginning needs no quote of it. */
  readonly thread?: number
}

interface Change {
  readonly edit: Pending | undefined
  readonly erase: Pending | undefined
  readonly reactions: readonly Pending[]
}

const CHANGES: ReadonlySet<string> = new Set(['edit', 'delete', 'reaction'])

/** Unsent edits, deletions and reactions by the number of the message that they are about; the newest edit counts. */
function changesBySeq(pending: readonly Pending[]): Map<number, Change> {
  const changes = new Map<number, Change>()
  for (const each of pending) {
    if (each.ref === null || !CHANGES.has(each.kind)) continue
    const before = changes.get(each.ref)
    changes.set(each.ref, {
      edit: each.kind === 'edit' ? each : before?.edit,
      erase: each.kind === 'delete' ? each : before?.erase,
      reactions: each.kind === 'reaction' ? [...(before?.reactions ?? []), each] : (before?.reactions ?? []),
    })
  }
  return changes
}

type Bare = Omit<MessageRow, 'first' | 'last'>

/** What the rows are made from, looked up once. */
interface Source {
  readonly viewer: Viewer
  /** How far each of the others has read, the farthest first; and how far the first of them has it. */
  readonly reads: readonly number[]
  readonly delivered: number
  readonly messages: ReadonlyMap<number, MessageItem>
  readonly threads: ReadonlyMap<number, Replies>
}

function quoteOf(ref: number | null, { viewer, messages }: Source): Pick<MessageRow, 'ref' | 'quote'> {
  if (ref === null || ref === viewer.thread) return { ref: null, quote: null }
  return { ref, quote: messages.get(ref) ?? viewer.quoted?.(ref) ?? null }
}

function sentRow(item: MessageItem, source: Source, change: Change | undefined): Bare {
  const { viewer } = source
  const own = item.by === viewer.me
  const pending = change?.erase ?? change?.edit ?? null
  const unsent = pending && pending.state !== 'sent' ? pending.state : null
  const readers = own ? readersOf(item.seq, source.reads) : 0
  const state = own ? (unsent ?? stateOf(item.seq, readers, source.delivered)) : null
  // A failed change has not happened: the message shows what it says for the others.
  const shown = pending?.state === 'failed' ? null : change
  const words = shown?.edit && !item.gone ? { ...item, ...changedWords(shown.edit) } : item
  const gone = item.gone || Boolean(shown?.erase)
  return {
    type: 'message',
    key: `m:${item.by}:${item.id}`,
    seq: item.seq,
    n: item.n,
    at: item.at,
    by: item.by,
    own,
    text: words.text,
    media: item.media,
    mentions: words.mentions,
    everybody: words.everybody,
    calls: !own && !gone && (words.everybody || words.mentions.includes(viewer.me)),
    forwarded: item.forwarded,
    pledge: item.pledge,
    ...(gone ? { ref: null, quote: null } : quoteOf(item.ref, source)),
    thread: item.thread,
    replies: viewer.thread === undefined ? (source.threads.get(item.seq) ?? null) : null,
    chips: chipsOf(item.reactions, viewer.me, change?.reactions),
    pinned: !gone && (viewer.pins?.has(item.seq) ?? false),
    edited: item.edit > 0 || Boolean(shown?.edit),
    gone,
    removedBy: item.removedBy ?? (shown?.erase ? viewer.me : null),
    state,
    readers,
    pending,
  }
}

/** How many have read it. */
function readersOf(seq: number, reads: readonly number[]): number {
  let low = 0
  let high = reads.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((reads[middle] ?? 0) >= seq) low = middle + 1
    else high = middle
  }
  return low
}

function stateOf(seq: number, readers: number, delivered: number): MessageState {
  if (readers > 0) return 'read'
  return delivered >= seq ? 'delivered' : 'sent'
}

/** What a row was made for. */
interface Made {
  readonly row: MessageRow
  readonly me: string
  readonly thread: number | undefined
}

/**
 * The row that was made of an item last. A message that nothing new is said about keeps its row: nobody makes it anew,
 * and nobody draws it anew, however long the history is.
 */
const made = new WeakMap<MessageItem, Made>()

/** The old row, if a new one would say the same; where more than the item decides, null. */
function keptRow(item: MessageItem, source: Source, first: boolean): MessageRow | null {
  const kept = made.get(item)
  if (!kept || item.ref !== null || source.threads.has(item.seq)) return null
  const { row, me, thread } = kept
  const { viewer } = source
  if (row.first !== first || me !== viewer.me || thread !== viewer.thread || row.replies) return null
  if (row.pinned !== (!row.gone && (viewer.pins?.has(item.seq) ?? false))) return null
  if (!row.own) return row
  const readers = readersOf(item.seq, source.reads)
  return row.readers === readers && row.state === stateOf(item.seq, readers, source.delivered) ? row : null
}

function changedWords(edit: Pending): Pick<MessageItem, 'text' | 'mentions' | 'everybody'> {
  const { text, mentions, everybody } = wordsOf(edit.body)
  return { text, mentions, everybody }
}

function pendingRow(pending: Pending, source: Source): Bare {
  const { viewer } = source
  return {
    type: 'message',
    key: `m:${viewer.me}:${pending.id}`,
    seq: 0,
    n: 0,
    at: pending.at,
    by: viewer.me,
    own: true,
    ...wordsOf(pending.body),
    calls: false,
    ...quoteOf(pending.ref, source),
    replies: null,
    chips: [],
    pinned: false,
    edited: false,
    gone: false,
    removedBy: null,
    state: pending.state,
    readers: 0,
    pending,
  }
}

export function rowsOf(items: readonly Item[], pending: readonly Pending[], viewer: Viewer): Row[] {
  const messages = new Map<number, MessageItem>()
  for (const item of items) if (item.type === 'message') messages.set(item.seq, item)
  const positions = [...viewer.positions]
  const reads = positions.map(({ read }) => read).sort((a, b) => b - a)
  const delivered = Math.max(0, ...positions.map((position) => position.delivered))
  const source: Source = { viewer, reads, delivered, messages, threads: withCounted(threadsOf(items), viewer.threads) }
  const changes = changesBySeq(pending)
  const rows: Row[] = []
  let day = ''
  let divided = viewer.unreadAfter === null
  /** The last message row, while nothing has come between, and what it was made of if it may be kept. */
  let open: { readonly at: number; readonly item: MessageItem | null } | null = null

  /** Now it is known whether the open row is the last of its group. */
  function close(last: boolean): void {
    const row = open && rows[open.at]
    if (!open || row?.type !== 'message') return
    const whole = row.last === last ? row : { ...row, last }
    rows[open.at] = whole
    if (open.item && made.get(open.item)?.row !== whole) made.set(open.item, { row: whole, me: viewer.me, thread: viewer.thread })
    open = null
  }

  function push(by: string, at: number, item: MessageItem | null, make: (first: boolean) => MessageRow): void {
    const before = open && rows[open.at]
    const joins = before?.type === 'message' && before.by === by && at - before.at < GROUP
    close(!joins)
    open = { at: rows.length, item }
    rows.push(make(!joins))
  }

  function dayBefore(at: number): void {
    const now = dayOf(at, viewer.clock)
    if (now === day) return
    close(true)
    day = now
    rows.push({ type: 'day', key: `d:${now}`, at })
  }

  for (const item of items) {
    if (item.type === 'notice' && item.kind === 'created' && viewer.direct) continue
    dayBefore(item.at)
    if (!divided && viewer.unreadAfter !== null && item.type === 'message' && item.seq > viewer.unreadAfter && item.by !== viewer.me) {
      close(true)
      divided = true
      rows.push({ type: 'unread', key: 'unread' })
    }
    if (item.type === 'notice') {
      close(true)
      rows.push({ type: 'notice', key: `n:${item.seq}`, seq: item.seq, n: item.n, item })
      continue
    }
    const change = changes.get(item.seq)
    push(item.by, item.at, change ? null : item, (first) => (change ? null : keptRow(item, source, first)) ?? { ...sentRow(item, source, change), first, last: true })
  }
  const unsent = pending.filter((each) => each.kind === 'message')
  const known = new Set(unsent.length === 0 ? [] : items.filter((item) => item.by === viewer.me).map((item) => item.id))
  for (const each of unsent) {
    if (known.has(each.id)) continue
    dayBefore(each.at)
    push(viewer.me, each.at, null, (first) => ({ ...pendingRow(each, source), first, last: true }))
  }
  close(true)
  return rows
}
