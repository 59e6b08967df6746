/** A snapshot and the unsent messages as the rows that a reader sees. Pure. */

import type { Pending } from '@vouch/realtime'

import { dayOf, type Clock } from '../times'
import type { Item, MessageItem, NoticeItem } from './timeline'

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
  readonly edited: boolean
  readonly gone: boolean
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
}

interface Change {
  readonly edit: Pending | undefined
  readonly erase: Pending | undefined
}

/** Unsent edits and deletions by the number of the message that they are about; the newest edit counts. */
function changesBySeq(pending: readonly Pending[]): Map<number, Change> {
  const changes = new Map<number, Change>()
  for (const each of pending) {
    if (each.ref === null || (each.kind !== 'edit' && each.kind !== 'delete')) continue
    const before = changes.get(each.ref)
    changes.set(each.ref, {
      edit: each.kind === 'edit' ? each : before?.edit,
      erase: each.kind === 'delete' ? each : before?.erase,
    })
  }
  return changes
}

function textOf(pending: Pending): string {
  const text = pending.body['text']
  return typeof text === 'string' ? text : ''
}

type Bare = Omit<MessageRow, 'first' | 'last'>

function sentRow(item: MessageItem, viewer: Viewer, positions: readonly { read: number; delivered: number }[], change: Change | undefined): Bare {
  const own = item.by === viewer.me
  const pending = change?.erase ?? change?.edit ?? null
  const unsent = pending && pending.state !== 'sent' ? pending.state : null
  const readers = own ? positions.filter((position) => position.read >= item.seq).length : 0
  let state: MessageState | null = null
  if (own) {
    state = positions.some((position) => position.delivered >= item.seq) ? 'delivered' : 'sent'
    if (readers > 0) state = 'read'
    if (unsent) state = unsent
  }
  // A failed change has not happened: the message shows what it says for the others.
  const shown = pending?.state === 'failed' ? null : change
  return {
    type: 'message',
    key: `m:${item.by}:${item.id}`,
    seq: item.seq,
    n: item.n,
    at: item.at,
    by: item.by,
    own,
    text: shown?.edit && !item.gone ? textOf(shown.edit) : item.text,
    edited: item.edit > 0 || Boolean(shown?.edit),
    gone: item.gone || Boolean(shown?.erase),
    state,
    readers,
    pending,
  }
}

function pendingRow(pending: Pending, viewer: Viewer): Bare {
  return {
    type: 'message',
    key: `m:${viewer.me}:${pending.id}`,
    seq: 0,
    n: 0,
    at: pending.at,
    by: viewer.me,
    own: true,
    text: textOf(pending),
    edited: false,
    gone: false,
    state: pending.state,
    readers: 0,
    pending,
  }
}

export function rowsOf(items: readonly Item[], pending: readonly Pending[], viewer: Viewer): Row[] {
  const positions = [...viewer.positions]
  const changes = changesBySeq(pending)
  const rows: Row[] = []
  let day = ''
  let divided = viewer.unreadAfter === null
  /** Where the last message row is, while nothing has come between. */
  let open = -1

  function push(row: Bare): void {
    const before = open >= 0 ? rows[open] : undefined
    const joins = before?.type === 'message' && before.by === row.by && row.at - before.at < GROUP
    if (joins) rows[open] = { ...before, last: false }
    open = rows.length
    rows.push({ ...row, first: !joins, last: true })
  }

  function dayBefore(at: number): void {
    const now = dayOf(at, viewer.clock)
    if (now === day) return
    day = now
    open = -1
    rows.push({ type: 'day', key: `d:${now}`, at })
  }

  for (const item of items) {
    if (item.type === 'notice' && item.kind === 'created' && viewer.direct) continue
    dayBefore(item.at)
    if (!divided && viewer.unreadAfter !== null && item.type === 'message' && item.seq > viewer.unreadAfter && item.by !== viewer.me) {
      divided = true
      open = -1
      rows.push({ type: 'unread', key: 'unread' })
    }
    if (item.type === 'notice') {
      open = -1
      rows.push({ type: 'notice', key: `n:${item.seq}`, seq: item.seq, n: item.n, item })
    } else {
      push(sentRow(item, viewer, positions, changes.get(item.seq)))
    }
  }
  const known = new Set(items.filter((item) => item.by === viewer.me).map((item) => item.id))
  for (const each of pending) {
    if (each.kind !== 'message' || known.has(each.id)) continue
    dayBefore(each.at)
    push(pendingRow(each, viewer))
  }
  return rows
}
