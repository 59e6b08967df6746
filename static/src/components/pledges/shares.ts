/** Both outcomes of a stake in the reader's words, as the bars show them. */

import { translate, type Translate } from '../../i18n'
import { outcomesOf, receiverOf, type Outcomes } from '../../pledges/split'
import type { PledgeView, Share, Split } from '../../pledges/types'

/** "back to you", "Tom", "2 who watch, alike": whom a part goes to. */
export function shareWords(share: Share, me: string): string {
  const to = receiverOf(share, me)
  if (to.side === 'department') return translate('pledges.to.department')
  if (to.side === 'payer') {
    const who = share.payee ?? share.person // a minor's money is the guardian's who paid it
    return who?.id === me ? translate('pledges.to.youBack') : translate('pledges.to.back', { name: who?.name ?? '' })
  }
  if (!share.person) return to.many > 1 ? translate('pledges.to.many', {}, to.many) : translate('pledges.to.one')
  const name = to.me ? translate('pledges.to.you') : to.name
  return to.payee ? translate('pledges.to.payee', { name, payee: to.payee }) : name
}

/** Where the owner has paid, what the owner gets comes back. With a reward, which others pay, it does not. */
function whoPaid(split: Split): Split {
  const reward = [...split.if_kept, ...split.if_failed].some((share) => share.side === 'payer')
  const told = (share: Share): Share => (!reward && share.side === 'owner' ? { ...share, side: 'payer' } : share)
  return { ...split, if_kept: split.if_kept.map(told), if_failed: split.if_failed.map(told) }
}

export function outcomesFor(split: Split, me: string): Outcomes {
  return outcomesOf(whoPaid(split), (share) => shareWords(share, me))
}

/** Which promise and which time of it: "Emma · 2 of 5"; its own title only where the task has another one. */
export function placeOf(pledge: PledgeView, n: number, t: Translate): string {
  const task = pledge.tasks.find((each) => each.n === n)
  const of = t('supervision.of', { n, count: pledge.tasks.length })
  return [pledge.owner.name, ...(task?.title === pledge.terms.title ? [] : [pledge.terms.title]), of].join(' · ')
}
