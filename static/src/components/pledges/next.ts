/** What happens next with a pledge, and where its stake is now and goes next: in sentences. */

import { useTimes } from '../../clock'
import { useText } from '../../i18n'
import { joinSentences } from '../../pledges/plain'
import { currentTask } from '../../pledges/progress'
import type { PledgeView } from '../../pledges/types'
import { decidedShares, watchersOf, usePledgeWords } from './words'

export interface Flow {
  readonly now: string
  readonly next: string
  readonly tone: 'amber' | 'sky' | 'jade' | 'seal' | 'plain'
}

export interface NextWords {
  /** One or two sentences. */
  next(pledge: PledgeView): string
  /** Of money; null: none stands by it. */
  flow(pledge: PledgeView): Flow | null
}

export function useNextWords(): NextWords {
  const words = usePledgeWords()
  const times = useTimes()
  const { t } = words
  const { language } = useText()
  const said = (sentences: readonly string[]): string => joinSentences(sentences, language.value)

  const amountOf = (pledge: PledgeView): string => {
    const { split } = pledge.stake
    return split ? words.money(split.amount, split.currency) : ''
  }
  const payerOf = (pledge: PledgeView): string => {
    const payer = pledge.stake.split?.payer
    return payer?.id === words.me() ? t('pledges.to.you') : words.name(payer ?? pledge.owner)
  }
  /** Where it goes as it was decided: "¥40.00 to Tom, ¥10.00 back to you". */
  const goes = (pledge: PledgeView): string => {
    const { split } = pledge.stake
    if (!split) return t('pledges.next.nothing')
    const shares = decidedShares(pledge.stake, pledge.outcome)
    return shares ? t('pledges.next.moves', { parts: words.parts(shares, split.currency) }) : t('pledges.next.allBack', { amount: amountOf(pledge), payer: payerOf(pledge) })
  }
  const orEnds = (pledge: PledgeView): string =>
    pledge.expires === null ? '' : t(pledge.stake.state === 'held' && pledge.stake.split ? 'pledges.next.orBack' : 'pledges.next.orEnds', { when: words.moment(pledge.expires) })

  function missing(pledge: PledgeView): string {
    const seated = watchersOf(pledge).length
    const asked = pledge.seats.some((seat) => seat.state === 'invited')
    if (seated >= pledge.terms.least || (asked && pledge.seats.filter((seat) => seat.state === 'invited').length + seated >= pledge.terms.least)) return t('pledges.next.awaiting_supervisorInvited')
    return t('pledges.next.awaiting_supervisor', {}, Math.max(1, pledge.terms.least - seated))
  }

  function running(pledge: PledgeView): string {
    const now = times.now.value
    const task = currentTask(pledge.tasks, now)
    if (!task) return ''
    const title = task.title
    if (task.opens > now) return t('pledges.next.opens', { task: title, when: words.moment(task.opens) })
    const stamps = task.can.includes('stamp') && (task.reported !== null || task.due <= now)
    if (stamps) return t('pledges.next.stampYou', { task: title, when: words.moment(task.judged_by) })
    if (task.reported !== null || task.late <= now) return t('pledges.next.stamp', { task: title, when: words.moment(task.judged_by) })
    return t(pledge.role === 'owner' ? 'pledges.next.dueYou' : 'pledges.next.due', { task: title, when: words.moment(task.due) })
  }

  function next(pledge: PledgeView): string {
    const when = pledge.until === null ? '' : words.moment(pledge.until)
    switch (pledge.state) {
      case 'awaiting_owner':
        return said([pledge.role === 'owner' ? t('pledges.next.awaiting_ownerYou') : t('pledges.next.awaiting_owner', { owner: words.name(pledge.owner) }), orEnds(pledge)])
      case 'awaiting_supervisor':
        return said([missing(pledge), orEnds(pledge)])
      case 'awaiting_funds': {
        const mine = pledge.can.includes('fund')
        return said([t(mine ? 'pledges.next.awaiting_fundsYou' : 'pledges.next.awaiting_funds', { payer: payerOf(pledge), amount: amountOf(pledge) }), orEnds(pledge)])
      }
      case 'active':
        return running(pledge)
      case 'kept':
      case 'failed':
      case 'challenge_window':
        return t(pledge.outcome === 'kept' ? 'pledges.next.windowKept' : pledge.outcome === 'failed' ? 'pledges.next.windowFailed' : 'pledges.next.windowVoid', { when, money: goes(pledge) })
      case 'disputed': {
        const open = pledge.cases.find((each) => each.ruling === null)
        if (!open) return t('pledges.flow.heldDispute')
        return open.evidence_until > times.now.value ? t('pledges.next.disputed', { when: words.moment(open.evidence_until) }) : t('pledges.next.disputedLater', { when: words.moment(open.decide_until) })
      }
      case 'cancelled':
      case 'expired':
        return t(pledge.stake.state === 'voided' || !pledge.stake.split ? 'pledges.next.over' : `pledges.next.${pledge.state}`)
      default:
        return t(`pledges.next.${pledge.state}`)
    }
  }

  function held(pledge: PledgeView): string {
    if (pledge.state === 'disputed') return t('pledges.flow.heldDispute')
    if (pledge.state === 'under_review') return t('pledges.flow.heldReview')
    const { split } = pledge.stake
    if (pledge.state !== 'challenge_window' || pledge.until === null || !split) return t('pledges.flow.held.next')
    const shares = decidedShares(pledge.stake, pledge.outcome)
    const parts = shares ? words.parts(shares, split.currency) : t('pledges.flow.back', { amount: amountOf(pledge), to: payerOf(pledge) })
    return t('pledges.flow.heldAfter', { parts, when: words.moment(pledge.until) })
  }

  function flow(pledge: PledgeView): Flow | null {
    const { stake } = pledge
    if (!stake.split) return null
    const values = { payer: payerOf(pledge), amount: amountOf(pledge) }
    const mine = stake.split.payer?.id === words.me()
    switch (stake.state) {
      case 'created': {
        const name = mine ? 'createdYou' : 'created'
        return { now: t(`pledges.flow.${name}.now`), next: t(`pledges.flow.${name}.next`, values), tone: 'amber' }
      }
      case 'authorised':
        return { now: t('pledges.flow.authorised.now'), next: t('pledges.flow.authorised.next'), tone: 'amber' }
      case 'held':
        return { now: t(mine ? 'pledges.flow.heldYou.now' : 'pledges.flow.held.now', values), next: held(pledge), tone: pledge.state === 'disputed' ? 'seal' : 'sky' }
      case 'voided':
        return { now: t('pledges.flow.voided.now'), next: t('pledges.flow.voided.next'), tone: 'plain' }
      default: {
        const parts = stake.parts.length ? words.parts(stake.parts, stake.split.currency) : t('pledges.flow.back', { amount: values.amount, to: values.payer })
        return { now: t('pledges.flow.done.now', { parts }), next: t('pledges.flow.done.next'), tone: 'jade' }
      }
    }
  }

  return { next, flow }
}
