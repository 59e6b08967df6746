/** What somebody may do with a message. The server says the same; here it decides what is offered. Pure. */

import type { MessageRow } from './rows'

export type MessageAction =
  | 'reply'
  | 'thread'
  | 'react'
  | 'copy'
  | 'link'
  | 'forward'
  | 'select'
  | 'pin'
  | 'unpin'
  | 'edit'
  | 'versions'
  | 'readers'
  | 'delete'
  | 'report'

export type Rank = 'owner' | 'admin' | 'member'

export interface Standing {
  readonly group: boolean
  /** The reader may write here now. */
  readonly writable: boolean
  /** Null: no member any more. */
  readonly rankOf: (person: string) => Rank | null
  readonly me: string
  /** The side view of a thread, where "show the thread" leads nowhere. */
  readonly inThread: boolean
}

const HEIGHT: Readonly<Record<Rank, number>> = { owner: 2, admin: 1, member: 0 }

/** One's own words, and in groups those of members of a lower rank. */
export function mayDelete(row: Pick<MessageRow, 'by' | 'own'>, standing: Standing): boolean {
  if (row.own) return true
  const mine = standing.rankOf(standing.me)
  if (!standing.group || mine === null) return false
  return HEIGHT[mine] > HEIGHT[standing.rankOf(row.by) ?? 'member']
}

export function mayPin(standing: Standing): boolean {
  if (!standing.writable) return false
  return !standing.group || standing.rankOf(standing.me) !== 'member'
}

/** In the order in which they are offered. */
export function actionsFor(row: MessageRow, standing: Standing): MessageAction[] {
  if (row.seq === 0) return row.text === '' ? [] : ['copy']
  if (row.gone) return row.replies && !standing.inThread ? ['thread'] : []
  const { writable } = standing
  const found: MessageAction[] = []
  if (writable) found.push('reply', 'react')
  if (!standing.inThread && (row.replies !== null || row.thread !== null)) found.push('thread')
  if (row.text !== '') found.push('copy')
  found.push('link', 'forward', 'select')
  if (mayPin(standing)) found.push(row.pinned ? 'unpin' : 'pin')
  if (writable && row.own && row.forwarded === null && row.pledge === null) found.push('edit')
  if (row.edited) found.push('versions')
  if (row.own && standing.group) found.push('readers')
  if (writable && mayDelete(row, standing)) found.push('delete')
  if (!row.own) found.push('report')
  return found
}
