/** What is agreed upon, in plain sentences: the wizard's slip, and the page's "what was agreed". Pure: words and names are given. */

import type { Translate } from '../i18n'
import type { Currency } from '../money/currency'
import { roundSpan } from './countdown'
import { repetitionOf, timesOf } from './rhythm'
import type { Side, Terms } from './types'

export interface Plain {
  readonly what: string[]
  readonly who: string[]
  readonly stake: string[]
  readonly rules: string[]
}

/** Who is who, by name; a null is oneself. */
export interface Cast {
  readonly side: Side
  /** Who promises; several: each for themselves. */
  readonly owners: readonly (string | null)[]
  /** Who is asked or watches. */
  readonly watchers: readonly (string | null)[]
  /** Whoever else may watch. */
  readonly listed: boolean
  /** To whom words or a chore go. */
  readonly to: string
  /** Days to find somebody; 0: that is over. */
  readonly days: number
  /** The reader's own zone. */
  readonly zone: string
}

export interface Speech {
  readonly t: Translate
  readonly money: (minor: number, currency: Currency) => string
  /** A day on the wall (YYYY-MM-DD). */
  readonly day: (day: string) => string
  /** 0 is Monday. */
  readonly weekday: (day: number) => string
}

export function listOf(names: readonly string[], t: Translate): string {
  const last = names.at(-1) ?? ''
  return names.length < 2 ? last : t('pledges.list.and', { list: names.slice(0, -1).join(t('pledges.list.comma')), last })
}

/** Chinese sentences stand without spaces between them. */
export function joinSentences(sentences: readonly string[], language: string): string {
  return sentences.filter((each) => each !== '').join(language === 'en' ? ' ' : '')
}

export function spanText(minutes: number, t: Translate): string {
  const { unit, n } = roundSpan(minutes)
  return t(`pledges.span.${unit}`, {}, n)
}

export function plainOf(terms: Terms, cast: Cast, speech: Speech): Plain {
  return { what: whatOf(terms, cast, speech), who: whoOf(terms, cast, speech), stake: stakeOf(terms, cast, speech), rules: rulesOf(terms, cast, speech) }
}

function whatOf(terms: Terms, cast: Cast, { t, day, weekday }: Speech): string[] {
  const title = terms.title || t('pledges.untitled')
  const [owner] = cast.owners
  const said =
    cast.owners.length > 1
      ? t('pledges.plain.promiseMany', { title }, cast.owners.length)
      : owner === null
        ? t('pledges.plain.promiseYou', { title })
        : t('pledges.plain.promiseOther', { name: owner ?? t('pledges.somebody'), title })
  const [first] = terms.tasks.toSorted((a, b) => (a.due < b.due ? -1 : 1))
  if (!first) return [said]
  const values = { day: day(first.due.slice(0, 10)), time: first.due.slice(11) }
  const when = (): string => {
    if (terms.tasks.length > 1) return t('pledges.plain.tasks', values, terms.tasks.length)
    const { rhythm, days, times } = repetitionOf(first.repeat)
    if (rhythm === 'once') return t('pledges.plain.onceDue', values)
    if (rhythm === 'weekly') return t('pledges.plain.weekly', { ...values, days: listOf(days.map(weekday), t) }, times)
    return t(`pledges.plain.${rhythm}`, values, times)
  }
  return [said, when(), ...(terms.zone === cast.zone ? [] : [t('pledges.plain.zone', { zone: terms.zone })])]
}

function whoOf(terms: Terms, cast: Cast, { t }: Speech): string[] {
  const names = cast.watchers.filter((name) => name !== null)
  const said: string[] = []
  if (terms.stake.kind === 'staff') said.push(t('pledges.plain.watchStaff'))
  else {
    if (cast.watchers.includes(null)) said.push(t('pledges.plain.watchYou'))
    if (names.length && cast.listed && terms.most > names.length) said.push(t('pledges.plain.watchListedAlso', { names: listOf(names, t) }, terms.most))
    else if (names.length) said.push(t('pledges.plain.watchNamed', { names: listOf(names, t) }, names.length))
    else if (cast.listed && !cast.watchers.length) said.push(t('pledges.plain.watchListed', {}, terms.most))
  }
  if (terms.most > 1) {
    said.push(t('pledges.plain.least', {}, terms.least))
    said.push(t(`pledges.plain.${terms.rule.kind}`, {}, terms.rule.k || 1))
  }
  return said
}

function stakeOf(terms: Terms, cast: Cast, { t, money }: Speech): string[] {
  const { stake } = terms
  const [owner = null] = cast.owners
  const you = cast.owners.length === 1 && owner === null
  const name = cast.owners.length > 1 ? '' : (owner ?? '')
  const values = { words: stake.words, to: cast.to, name }
  switch (stake.kind) {
    case 'none':
      return [t('pledges.plain.none')]
    case 'points':
      return [t('pledges.plain.points', {}, stake.points)]
    case 'message':
      return [t(you ? 'pledges.plain.messageYou' : 'pledges.plain.messageOther', values)]
    case 'chore':
      return [t(you ? 'pledges.plain.choreYou' : 'pledges.plain.choreOther', values)]
  }
  const currency = stake.currency
  if (currency === null || stake.amount === 0) return []
  const reward = stake.kind === 'reward'
  const amount = money(stake.amount, currency)
  const pays = reward ? cast.side === 'supervisor' && cast.watchers.includes(null) : you
  const payer = reward ? (cast.watchers.find((each) => each !== null) ?? '') : name
  const them = reward ? (you ? t('pledges.to.you') : name || t('pledges.somebody')) : stake.kind === 'staff' ? t('pledges.department') : watchersOf(cast, t)
  const share = (moves: number): string => {
    if (moves === 0) return t('pledges.plain.allBack')
    if (moves === stake.amount) return t('pledges.plain.allTo', { them })
    return t('pledges.plain.someTo', { amount: money(moves, currency), them, rest: money(stake.amount - moves, currency) })
  }
  return [
    pays ? t('pledges.plain.putYou', { amount }) : cast.owners.length > 1 && !reward ? t('pledges.plain.putMany', { amount }) : t('pledges.plain.putOther', { name: payer, amount }),
    t('pledges.plain.kept', { what: share(stake.moves_if_kept) }),
    t('pledges.plain.failed', { what: share(stake.moves_if_failed) }),
  ]
}

/** Who gains from a deposit. */
export function watchersOf(cast: Pick<Cast, 'watchers' | 'listed'>, t: Translate): string {
  const names = cast.watchers.map((name) => name ?? t('pledges.to.you'))
  return names.length ? listOf(names, t) : t('pledges.somebody')
}

function rulesOf(terms: Terms, cast: Cast, { t }: Speech): string[] {
  const count = terms.tasks.reduce((sum, task) => sum + timesOf(task.repeat), 0)
  const { checks } = terms
  const said: string[] = []
  if (count > 1) said.push(terms.needed === 0 || terms.needed >= count ? t('pledges.plain.neededAll', {}, count) : t('pledges.plain.needed', { needed: terms.needed }, count))
  said.push(terms.grace === 0 ? t('pledges.plain.graceNone') : t('pledges.plain.grace', { span: spanText(terms.grace, t) }))
  said.push(t('pledges.plain.judge', { span: spanText(terms.judge * 60, t) }))
  said.push(terms.stake.kind === 'none' ? t('pledges.plain.challengeNone') : t('pledges.plain.challenge', { span: spanText(terms.challenge * 60, t) }))
  const asked = checks.on_demand + checks.random
  if (asked > 0) {
    said.push(t('pledges.plain.checks', { answer: spanText(checks.answer, t) }, asked))
    if (checks.quiet_from !== checks.quiet_to) said.push(t('pledges.plain.checksQuiet', { from: checks.quiet_from, to: checks.quiet_to }))
  }
  if (cast.days > 0) said.push(t('pledges.plain.expires', { span: spanText(cast.days * 1440, t) }))
  return said
}
