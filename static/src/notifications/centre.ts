/** What the inbox tells, as the centre lists it. Pure. */

import type { Entry } from '@vouch/realtime'

/** The kinds that count as unread, and are listed. */
const KINDS = ['mentioned', 'answered', 'reacted', 'friend_requested', 'friend_accepted', 'conversation_added', 'report_decided', 'moderated', 'factors_changed', 'guardian_changed', 'money_received', 'payment_ended', 'payout_account_changed', 'dispute_decided', 'adjusted', 'pledge_news', 'call_missed'] as const

export type NoticeKind = (typeof KINDS)[number]

export interface Notice {
  readonly seq: number
  readonly at: number
  readonly kind: NoticeKind
  /** Who acted; empty where nobody is named. */
  readonly by: string
  /** Others who did the same, the newest first. */
  readonly others: readonly string[]
  readonly conversation: string | null
  /** The message that it is about. */
  readonly message: number | null
  readonly pledge: string | null
  readonly call: string | null
  /** What was done, and until when it holds (milliseconds); for a second factor what it was called. */
  readonly done: string
  readonly name: string
  readonly until: number | null
  /** What is told of money; null for all other kinds. */
  readonly money: MoneyFacts | null
}

export interface MoneyFacts {
  /** The payment that it is about; empty: none. */
  readonly order: string
  /** `charge`, `refund`, `pay_out`, and its state. */
  readonly kind: string
  readonly state: string
  /** Minor units; null: not told. */
  readonly amount: number | null
  readonly currency: string
  /** For whom it was meant. */
  readonly beneficiary: string
  /** How a pay-out account is shown. */
  readonly ending: string
}

const OF_MONEY: readonly NoticeKind[] = ['money_received', 'payment_ended', 'payout_account_changed', 'dispute_decided', 'adjusted']

function isKind(kind: string): kind is NoticeKind {
  return (KINDS as readonly string[]).includes(kind)
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function number(value: unknown): number | null {
  return typeof value === 'number' ? value : null
}

/** Null for what only says that something must be loaded again, and for what one has done oneself. */
export function noticeOf(entry: Entry, me: string): Notice | null {
  if (!isKind(entry.kind)) return null
  const { body } = entry
  const friendly = entry.kind === 'friend_requested' || entry.kind === 'friend_accepted'
  const actor = text(body[friendly ? 'person' : 'by'])
  // A change of second factors is told also to whoever made it: it may have been somebody else at their screen.
  if (text(body['by']) === me && entry.kind !== 'factors_changed') return null
  return {
    seq: entry.seq,
    at: entry.at,
    kind: entry.kind,
    by: actor === 'system' || entry.kind === 'factors_changed' ? '' : actor,
    others: [],
    conversation: text(body['conversation']) || null,
    message: number(body['seq']),
    pledge: text(body['pledge']) || null,
    call: text(body['call']) || null,
    done: text(body[entry.kind === 'pledge_news' ? 'what' : 'done']),
    name: text(body['name']),
    until: number(body['until']),
    money: OF_MONEY.includes(entry.kind) ? moneyOf(body) : null,
  }
}

function moneyOf(body: Entry['body']): MoneyFacts {
  return {
    order: text(body['order']) || text(body['payment']),
    kind: text(body['kind']),
    state: text(body['state']),
    amount: number(body['amount']),
    currency: text(body['currency']),
    beneficiary: text(body['beneficiary']),
    ending: text(body['ending']),
  }
}

/** Newest first, with the reactions to one message on one day in one line. */
export function listed(notices: readonly Notice[], dayOf: (at: number) => string): Notice[] {
  const lines: Notice[] = []
  const reactions = new Map<string, number>()
  for (const notice of notices.toSorted((a, b) => b.seq - a.seq)) {
    const key = notice.kind === 'reacted' ? `${dayOf(notice.at)} ${notice.conversation} ${notice.message}` : null
    const at = key === null ? undefined : reactions.get(key)
    const line = at === undefined ? undefined : lines[at]
    if (at !== undefined && line) {
      const known = line.by === notice.by || line.others.includes(notice.by)
      if (!known) lines[at] = { ...line, others: [...line.others, notice.by] }
      continue
    }
    if (key !== null) reactions.set(key, lines.length)
    lines.push(notice)
  }
  return lines
}

/** Where a notice leads; null where there is nothing to open. */
export function targetOf(notice: Notice): string | null {
  switch (notice.kind) {
    case 'friend_requested':
    case 'friend_accepted':
      return notice.by ? `/people/${notice.by}` : null
    case 'factors_changed':
      return '/me/safety'
    case 'guardian_changed':
      return '/me/family'
    case 'payment_ended':
    case 'dispute_decided':
      return notice.money?.order ? `/wallet/payments/${notice.money.order}` : '/wallet/payments'
    case 'payout_account_changed':
      return '/wallet/accounts'
    case 'money_received':
    case 'adjusted':
      return '/wallet/statement'
    case 'pledge_news':
      return notice.pledge === null ? null : `/pledges/${notice.pledge}`
    case 'call_missed':
      return notice.call === null ? null : `/calls/${notice.call}`
    case 'report_decided':
    case 'moderated':
      return null
    default:
      if (notice.conversation === null) return null
      return notice.message === null ? `/chats/${notice.conversation}` : `/chats/${notice.conversation}?at=${notice.message}`
  }
}
