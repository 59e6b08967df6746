/** A conversation as a row of the list: how it changes with what arrives. Pure. */

import type { ChannelInfo, Entry } from '@vouch/realtime'

import type { Conversation } from '../api/types'
import { isModifier, wordsOf } from './timeline'

/** Entries after which members, title or state are different and have to be loaded again. */
const STRUCTURAL: ReadonlySet<string> = new Set([
  'joined',
  'left',
  'removed',
  'renamed',
  'handed_over',
  'role_changed',
  'silenced',
  'rules_changed',
  'closed',
  'reopened',
  'erased',
])

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
  if (entry.kind !== 'edit') return last
  const { text, mentions, everybody } = wordsOf(entry.body)
  return { ...last, body: { ...last.body, text, mentions, everybody } }
}

/** The last pinned stands last. What was said before `first` is not for this member. */
function pinsAfter({ pins, first }: Conversation, entry: Entry): Conversation['pins'] {
  const { seq, on, by } = entry.body
  if (entry.kind !== 'pinned' || typeof seq !== 'number') return pins
  const others = pins.filter((pin) => pin.seq !== seq)
  return on === true && seq >= first ? [...others, { seq, by: typeof by === 'string' ? by : entry.by, at: entry.at }] : others
}

/** The unread messages that call the reader: a new one may, an edit may begin or stop to. */
function mentionedAfter(conversation: Conversation, entry: Entry, me: string): Conversation['mentioned'] {
  const { mentioned, read } = conversation
  const seq = entry.kind === 'message' ? entry.seq : entry.ref
  if (seq == null || !['message', 'edit', 'delete'].includes(entry.kind)) return mentioned
  const { mentions, everybody } = wordsOf(entry.body)
  const calls = entry.kind !== 'delete' && entry.by !== me && seq > read && (everybody || mentions.includes(me))
  if (calls === mentioned.includes(seq)) return mentioned
  return calls ? [...mentioned, seq].sort((a, b) => a - b) : mentioned.filter((each) => each !== seq)
}

/** `me` is whose conversation it is. */
export function withEntry(conversation: Conversation, entry: Entry, me: string): Conversation {
  if (entry.seq <= conversation.head) return conversation
  const message = entry.kind === 'message'
  return {
    ...conversation,
    head: entry.seq,
    n: entry.n,
    last: previewAfter(conversation.last, entry),
    pins: pinsAfter(conversation, entry),
    mentioned: mentionedAfter(conversation, entry, me),
    active_at: message ? Math.max(entry.at, conversation.active_at) : conversation.active_at,
  }
}

/** Positions only move forward. */
export function withRead(conversation: Conversation, read: number, readN: number): Conversation {
  if (read <= conversation.read) return conversation
  return { ...conversation, read, read_n: Math.max(readN, conversation.read_n), mentioned: conversation.mentioned.filter((seq) => seq > read) }
}

export function withInfo(conversation: Conversation, info: ChannelInfo): Conversation {
  const moved = withRead(conversation, info.read, info.read_n)
  const delivered = Math.max(moved.delivered, info.delivered)
  return delivered === moved.delivered && info.first === moved.first ? moved : { ...moved, delivered, first: info.first }
}

/** What was heard after the server said this. */
function aheadOf(known: Conversation, fresh: Conversation): Conversation {
  const { head, n, last, active_at, pins, mentioned } = known
  return { ...fresh, head, n, last, active_at, pins, mentioned }
}

/** What the server says now, except where this client has heard of later entries already. */
export function merged(known: Conversation | undefined, fresh: Conversation): Conversation {
  if (!known) return fresh
  const base = fresh.head >= known.head ? fresh : aheadOf(known, fresh)
  const read = withRead(base, known.read, known.read_n)
  return { ...read, delivered: Math.max(read.delivered, known.delivered) }
}

/** Until when this member writes nothing here; null: they may. */
export function silencedUntil(conversation: Pick<Conversation, 'members'>, me: string, now: number): number | null {
  const until = conversation.members.find(({ person }) => person === me)?.silenced_until ?? null
  return until !== null && until > now ? until : null
}
