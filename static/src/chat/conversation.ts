/** A conversation as a row of the list: how it changes with what arrives. Pure. */

import type { ChannelInfo, Entry } from '@vouch/realtime'

import type { Conversation } from '../api/types'
import { isModifier } from './timeline'

/** Entries after which members, title or state are different and have to be loaded again. */
const STRUCTURAL: ReadonlySet<string> = new Set(['joined', 'left', 'removed', 'renamed', 'handed_over', 'closed', 'reopened', 'erased'])

export function isStructural(entry: Entry): boolean {
  return STRUCTURAL.has(entry.kind)
}

export function unreadOf(conversation: Pick<Conversation, 'n' | 'read_n'>): number {
  return Math.max(0, conversation.n - conversation.read_n)
}

function previewAfter(last: Entry | null, entry: Entry): Entry | null {
  if (!isModifier(entry)) {
    const erased = entry.kind === 'erased' && last?.by === entry.body['person']
    if (last && erased) return { ...last, body: {}, gone: true }
    return entry.kind === 'message' || last === null || last.kind !== 'message' ? entry : last
  }
  if (!last || entry.ref !== last.seq || last.gone) return last
  if (entry.kind === 'delete') return { ...last, body: {}, gone: true }
  return entry.kind === 'edit' ? { ...last, body: entry.body } : last
}

export function withEntry(conversation: Conversation, entry: Entry): Conversation {
  if (entry.seq <= conversation.head) return conversation
  const message = entry.kind === 'message'
  return {
    ...conversation,
    head: entry.seq,
    n: entry.n,
    last: previewAfter(conversation.last, entry),
    active_at: message ? Math.max(entry.at, conversation.active_at) : conversation.active_at,
  }
}

/** Positions only move forward. */
export function withRead(conversation: Conversation, read: number, readN: number): Conversation {
  if (read <= conversation.read) return conversation
  return { ...conversation, read, read_n: Math.max(readN, conversation.read_n) }
}

export function withInfo(conversation: Conversation, info: ChannelInfo): Conversation {
  const moved = withRead(conversation, info.read, info.read_n)
  const delivered = Math.max(moved.delivered, info.delivered)
  return delivered === moved.delivered && info.first === moved.first ? moved : { ...moved, delivered, first: info.first }
}

/** What the server says now, except where this client has heard of later entries already. */
export function merged(known: Conversation | undefined, fresh: Conversation): Conversation {
  if (!known) return fresh
  const base = fresh.head >= known.head ? fresh : { ...fresh, head: known.head, n: known.n, last: known.last, active_at: known.active_at }
  const read = withRead(base, known.read, known.read_n)
  return { ...read, delivered: Math.max(read.delivered, known.delivered) }
}
