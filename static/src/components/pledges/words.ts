/** Names, moments and amounts of pledges in the reader's language. */

import { useTimes } from '../../clock'
import { i18n, useText, type Translate } from '../../i18n'
import type { MessageKey } from '../../locales/en'
import type { PersonCard } from '../../api/types'
import type { Currency } from '../../money/currency'
import { moneyText } from '../../money/format'
import { spanOf } from '../../pledges/countdown'
import { listOf } from '../../pledges/plain'
import type { Outcomes } from '../../pledges/split'
import type { PledgeCard, PledgeView, Share, Split, StakeView } from '../../pledges/types'
import { useSession } from '../../stores/session'
import { outcomesFor, shareWords } from './shares'

export interface PledgeWords {
  readonly t: Translate
  readonly me: () => string
  /** "You" is never said here: sentences that mean the reader have words of their own. */
  name(person: PersonCard | null): string
  names(people: readonly PersonCard[]): string
  money(minor: number, currency: Currency): string
  /** "in 2 h 14 min", "3 min ago". */
  distance(at: number): string
  /** "today 21:00", "Sunday 22 November 21:00": short, with the day where it is another. */
  moment(at: number): string
  outcomes(split: Split): Outcomes
  /** "¥40.00 to Tom, ¥10.00 back to you" */
  parts(shares: readonly Share[], currency: Currency): string
  /** What stands by it, in a word or two: "¥50.00", "20 points", "A message". */
  stake(card: Pick<PledgeCard, 'kind' | 'stake' | 'points'>): string
}

/** A word of a list that may grow on the server; the last one of them is for those that are not known here. */
export function wordOf(group: 'pledges.waits' | 'pledges.nextIs', word: string, t: Translate): string {
  const key = `${group}.${word}`
  return t((i18n.global.te(key) ? key : `${group}.other`) as MessageKey)
}

export function usePledgeWords(): PledgeWords {
  const { t, language } = useText()
  const times = useTimes()
  const session = useSession()
  const me = (): string => session.me?.id ?? ''
  const name = (person: PersonCard | null): string => (person === null ? t('pledges.somebody') : person.name || t('common.deletedPerson'))
  const money = (minor: number, currency: Currency): string => moneyText(minor, currency, language.value)


  return {
    t,
    me,
    name,
    names: (people) => listOf(people.map(name), t),
    money,
    distance(at) {
      const away = at - times.now.value
      const span = spanOf(Math.abs(away))
      const text = t(`pledges.left.${span.unit}`, { ...span })
      return t(away >= 0 ? 'pledges.when.in' : 'pledges.when.ago', { span: text })
    },
    moment(at) {
      const day = times.day(at)
      return `${day === t('time.today') && language.value === 'en' ? day.toLowerCase() : day} ${times.time(at)}`
    },
    outcomes: (split) => outcomesFor(split, me()),
    parts: (shares, currency) =>
      shares
        .filter((share) => share.amount > 0)
        .map((share) => {
          const back = share.side === 'payer'
          const to = back ? (share.person?.id === me() ? t('pledges.to.you') : name(share.person)) : shareWords(share, me())
          return t(back ? 'pledges.flow.back' : 'pledges.flow.part', { amount: money(share.amount, currency), to })
        })
        .join(t('pledges.list.comma')),
    stake(card) {
      if (card.stake) return money(card.stake.amount, card.stake.currency)
      return card.kind === 'points' ? t('pledges.points', {}, card.points) : t(`pledges.kinds.${card.kind}`)
    },
  }
}

/** Who watches now. */
export function watchersOf(pledge: Pick<PledgeView, 'seats'>): PersonCard[] {
  return pledge.seats.filter((seat) => seat.state === 'seated').map((seat) => seat.person)
}

/** Where the stake goes as it is decided; null: nothing goes anywhere yet. */
export function decidedShares(stake: StakeView, outcome: PledgeView['outcome']): readonly Share[] | null {
  if (stake.parts.length) return stake.parts
  if (!stake.split || outcome === null || outcome === 'void') return null
  return outcome === 'kept' ? stake.split.if_kept : stake.split.if_failed
}
