/** The list of one's own: what waits for oneself first, then by how far it has come. Pure. */

import type { PledgeCard, PledgeState } from './types'

/** `waits`: oneself is to act; `running`; `begins`: it waits for others; `drafts`; `over`. */
export type Group = 'waits' | 'running' | 'begins' | 'drafts' | 'over'

export const GROUPS: readonly Group[] = ['waits', 'running', 'begins', 'drafts', 'over']

const BEGINS: readonly PledgeState[] = ['awaiting_owner', 'awaiting_supervisor', 'awaiting_funds']
const OVER: readonly PledgeState[] = ['settled', 'cancelled', 'expired']

export function isOver(state: PledgeState): boolean {
  return OVER.includes(state)
}

export function groupOf(card: Pick<PledgeCard, 'state' | 'waits_for_me'>): Group {
  if (card.state === 'draft') return 'drafts'
  if (card.waits_for_me !== '') return 'waits'
  if (isOver(card.state)) return 'over'
  return BEGINS.includes(card.state) ? 'begins' : 'running'
}

/** Which of one's pledges are shown: all, those one promised, those one watches. */
export type Side = 'all' | 'owner' | 'watcher'

export function isOf(card: Pick<PledgeCard, 'role'>, side: Side): boolean {
  if (side === 'all') return true
  return (card.role === 'owner') === (side === 'owner')
}

/** In each group what is due first comes first; what is over, newest first as it came. */
export function grouped(cards: readonly PledgeCard[]): { readonly group: Group; readonly cards: readonly PledgeCard[] }[] {
  const when = (card: PledgeCard): number => card.next ?? Number.POSITIVE_INFINITY
  return GROUPS.map((group) => {
    const of = cards.filter((card) => groupOf(card) === group)
    return { group, cards: group === 'over' || group === 'drafts' ? of : of.toSorted((a, b) => when(a) - when(b)) }
  }).filter((each) => each.cards.length > 0)
}

/** Pages of a list laid together: a card that has moved up meanwhile is there once, as it came last. */
export function joined(before: readonly PledgeCard[], more: readonly PledgeCard[]): PledgeCard[] {
  const fresh = new Map(more.map((card) => [card.id, card]))
  return [...before.filter((card) => !fresh.has(card.id)), ...more]
}
