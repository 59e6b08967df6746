/** What happened to a pledge, as its thread tells it: an entry of the log becomes words. Pure. */

import type { CaseTold, Checked, EvidenceAdded, Judged, Media, MoneyMoved, Reported, SeatChanged, Stamped, Stated } from '@vouch/realtime'

import type { NoticeItem } from '../chat/timeline'
import type { Translate } from '../i18n'
import type { Currency } from '../money/currency'

export type HappeningKind = 'state' | 'seat' | 'reported' | 'stamped' | 'judged' | 'checked' | 'money' | 'case' | 'evidence'
/** How it is meant: good, bad, to be watched, or neither. */
export type Tone = 'jade' | 'seal' | 'amber' | 'plain'

export interface Happening {
  readonly kind: HappeningKind
  readonly tone: Tone
  readonly sentence: string
  /** More about it, in short. */
  readonly details: readonly string[]
  /** The task that it is about; 0: the whole. */
  readonly task: number
  /** Who is shown beside it; empty: the server, or time. */
  readonly person: string
  /** What somebody said or wrote with it. */
  readonly quote: string
  readonly media: readonly Media[]
  /** Rows of the evidence log that came with it. */
  readonly evidence: readonly string[]
}

export interface HappeningWords {
  readonly t: Translate
  /** A name, also one's own ("You"), and the server's. */
  readonly name: (id: string) => string
  readonly money: (minor: number, currency: Currency) => string
  readonly when: (at: number) => string
}

type Part = Partial<Happening> & Pick<Happening, 'sentence'>

const SYSTEM = 'system'

/** Null for what is not told, or what only a newer client knows. */
export function happeningOf(item: NoticeItem, words: HappeningWords): Happening | null {
  const made = toldBy(item, words)
  if (made === null) return null
  const person = item.by === SYSTEM ? '' : item.by
  return { kind: item.kind as HappeningKind, tone: 'plain', details: [], task: 0, person, quote: '', media: [], evidence: [], ...made }
}

function toldBy(item: NoticeItem, words: HappeningWords): Part | null {
  const body: unknown = item.body
  switch (item.kind) {
    case 'state':
      return stated(body as Stated, item.by, words)
    case 'seat':
      return seat(body as SeatChanged, words)
    case 'reported': {
      const { task, words: quote = '', media = [], evidence = [] } = body as Reported
      return { sentence: words.t('pledgeThread.reported', { name: words.name(item.by) }), task, quote, media, evidence }
    }
    case 'stamped':
      return stamped(body as Stamped, words)
    case 'judged':
      return judged(body as Judged, words)
    case 'checked':
      return checked(body as Checked, item.by, words)
    case 'money':
      return money(body as MoneyMoved, words)
    case 'case':
      return ofCase(body as CaseTold, item.by, words)
    case 'evidence': {
      const { kind, task = 0, words: quote = '', media = [], evidence } = body as EvidenceAdded
      const key = kind === 'verdict' || kind === 'ruling' ? 'words' : kind
      return { sentence: words.t(`pledgeThread.evidence.${key}`, { name: words.name(item.by) }), tone: key === 'meeting' || key === 'photo' ? 'seal' : 'plain', task, quote, media, evidence: [evidence] }
    }
    default:
      return null
  }
}

function stated({ state, outcome, until }: Stated, by: string, { t, name, when }: HappeningWords): Part | null {
  switch (state) {
    case 'draft':
      return null
    case 'challenge_window': {
      const key = outcome ?? 'void'
      const tone = key === 'kept' ? 'jade' : 'amber'
      return { sentence: t(`pledgeThread.state.window.${key}`), tone, details: until == null ? [] : [t('pledgeThread.state.windowUntil', { time: when(until) })] }
    }
    case 'kept':
      return { sentence: t('pledgeThread.state.kept'), tone: 'jade' }
    case 'disputed':
      return { sentence: t('pledgeThread.state.disputed'), tone: 'seal' }
    case 'failed':
    case 'under_review':
      return { sentence: t(`pledgeThread.state.${state}`), tone: 'amber' }
    default:
      return { sentence: t(`pledgeThread.state.${state}`, { name: name(by) }) }
  }
}

function seat({ person, state, owner = false }: SeatChanged, { t, name }: HappeningWords): Part {
  const key = owner ? (state === 'seated' ? 'consented' : 'refused') : state
  return { sentence: t(`pledgeThread.seat.${key}`, { name: name(person) }), person }
}

function stamped({ task, person, verdict, counts, done_at: doneAt, words: quote = '', media = [], evidence = [], in_person: inPerson = false }: Stamped, { t, name, when }: HappeningWords): Part {
  const details: string[] = []
  if (verdict === 'done' && doneAt != null) details.push(t('pledgeThread.stamped.at', { time: when(doneAt) }))
  if (verdict === 'done' && counts === false) details.push(t('pledgeThread.stamped.late'))
  if (inPerson) details.push(t('pledgeThread.stamped.in_person'))
  const tone = verdict === 'done' ? 'seal' : verdict === 'not_done' ? 'amber' : 'plain'
  return { sentence: t(`pledgeThread.stamped.${verdict}`, { name: name(person) }), tone, details, task, person, quote, media, evidence }
}

function judged({ task, state, by, early = false, done = 0, not_done: notDone = 0, abstained = 0 }: Judged, { t }: HappeningWords): Part {
  const details: string[] = []
  if (by === 'vote') {
    details.push(t('pledgeThread.judgedBy.vote', { done, not_done: notDone }))
    if (abstained > 0) details.push(t('pledgeThread.judgedBy.abstained', { n: abstained }))
  } else if (by === 'admitted' || by === 'staff') details.push(t(`pledgeThread.judgedBy.${by}`))
  const tone = state === 'kept' ? 'jade' : state === 'missed' || state === 'review' ? 'amber' : 'plain'
  return { sentence: t(state === 'kept' && early ? 'pledgeThread.judged.early' : `pledgeThread.judged.${state}`), tone, details, task, person: '' }
}

function checked({ task, state, until, words: quote = '', media = [], evidence = [] }: Checked, by: string, { t, name, when }: HappeningWords): Part {
  const tone = state === 'done' ? 'jade' : state === 'missed' || state === 'asked' ? 'amber' : 'plain'
  return { sentence: t(`pledgeThread.checked.${state}`, { name: name(by), time: when(until) }), tone, task, quote, media, evidence }
}

/** Of money the amounts say where it is now; of other stakes the words do. */
function money({ state, amount = 0, currency, parts = [] }: MoneyMoved, { t, name, money: sum }: HappeningWords): Part | null {
  if (state === 'created' || state === 'authorised') return null
  if (currency == null) {
    if (state === 'voided') return { sentence: t('pledgeThread.money.voided') }
    return { sentence: t(state === 'held' ? 'pledgeThread.money.heldOther' : state === 'refunded' ? 'pledgeThread.money.refundedOther' : 'pledgeThread.money.released') }
  }
  if (state === 'held') return { sentence: t('pledgeThread.money.held', { amount: sum(amount, currency) }) }
  if (state === 'voided') return { sentence: t('pledgeThread.money.voided') }
  const moved = parts.filter((part) => part.amount > 0).map((part) => t('pledgeThread.money.moved', { amount: sum(part.amount, currency), name: receiver(part, t, name) }))
  if (state === 'refunded') return { sentence: t('pledgeThread.money.refunded'), details: moved }
  return { sentence: moved[0] ?? t('pledgeThread.money.released'), details: moved.slice(1) }
}

function receiver({ person, payee }: { person: string; payee: string }, t: Translate, name: (id: string) => string): string {
  if (!person) return t('pledgeThread.department')
  return payee && payee !== person ? t('pledgeThread.money.for', { payee: name(payee), name: name(person) }) : name(person)
}

const CAUSES = ['tie', 'abstained', 'silent', 'left', 'flagged'] as const

function ofCase({ kind, done, words: quote = '', cause = '', ruling, reasons = '' }: CaseTold, by: string, { t, name }: HappeningWords): Part | null {
  switch (done) {
    case 'opened': {
      if (kind !== 'review') return { sentence: t(`pledgeThread.case.${kind}`, { name: name(by) }), tone: 'seal', quote }
      const known = CAUSES.find((each) => each === cause)
      return { sentence: t('pledgeThread.case.review'), tone: 'amber', details: known ? [t(`pledgeThread.case.causes.${known}`)] : [] }
    }
    case 'taken':
      return { sentence: t('pledgeThread.case.taken'), person: '' }
    case 'ruled':
      return { sentence: t(`pledgeThread.case.ruled.${ruling ?? 'void'}`), tone: ruling === 'kept' ? 'jade' : 'amber', quote: reasons }
    case 'lapsed':
      return { sentence: t('pledgeThread.case.lapsed'), tone: 'amber' }
    default:
      return null
  }
}

/** Everybody whom it names. */
export function peopleOf(item: NoticeItem): string[] {
  const { person, parts } = item.body as { person?: unknown; parts?: unknown }
  const paid = Array.isArray(parts) ? (parts as { person: string; payee: string }[]).flatMap((part) => [part.person, part.payee]) : []
  return [item.by === SYSTEM ? '' : item.by, typeof person === 'string' ? person : '', ...paid].filter(Boolean)
}
