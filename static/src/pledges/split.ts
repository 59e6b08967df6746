/** Both outcomes of a stake in money, as bars and words. Pure. */

import type { Part } from '../money/course'
import type { Currency } from '../money/currency'
import type { Share, Split } from './types'

/** Whom a part goes to, for the words: a person, oneself, several alike, the department. */
export interface Receiver {
  readonly name: string
  readonly me: boolean
  /** Who receives it in their place: a minor's guardian. */
  readonly payee: string
  readonly many: number
  readonly side: string
}

export interface Outcomes {
  readonly currency: Currency
  readonly kept: readonly Part[]
  readonly failed: readonly Part[]
}

/** What goes back to who paid is jade; what goes to somebody else amber: it is gone for one and gained for the other. */
export function toneOf(share: Share): Part['tone'] {
  if (share.side === 'payer') return 'jade'
  return share.side === 'department' ? 'plain' : 'amber'
}

export function receiverOf(share: Share, me: string): Receiver {
  return {
    name: share.person?.name ?? '',
    me: share.person?.id === me,
    payee: share.payee && share.payee.id !== share.person?.id ? share.payee.name : '',
    many: share.many ?? 1,
    side: share.side,
  }
}

/** Shares without an amount are not told, unless nothing else is there. */
export function outcomesOf(split: Split, say: (share: Share) => string): Outcomes {
  const parts = (shares: readonly Share[]): Part[] => {
    const told = shares.filter((share) => share.amount > 0)
    return (told.length ? told : shares.slice(0, 1)).map((share) => ({ amount: share.amount, to: say(share), tone: toneOf(share) }))
  }
  return { currency: split.currency, kept: parts(split.if_kept), failed: parts(split.if_failed) }
}

/** Alike among so many, in minor units: who comes first gets what cannot be divided. */
export function alike(amount: number, among: number): number[] {
  const each = Math.floor(amount / among)
  return Array.from({ length: among }, (_, at) => each + (at < amount - each * among ? 1 : 0))
}
