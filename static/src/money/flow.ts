/** Where the money of a payment is now, and where it goes next. Pure: words are chosen by these names. */

import type { OrderKind, OrderState, Payment } from './types'

/** What people see of a payment's state: the ways of not coming to pass leave the money in the same place. */
export type Step = 'approval' | 'waiting' | 'open' | 'sent' | 'done' | 'ended'

export type Tone = 'amber' | 'sky' | 'jade' | 'seal' | 'plain'

const FINAL: readonly OrderState[] = ['done', 'failed', 'cancelled', 'expired']

export function isFinal(state: OrderState): boolean {
  return FINAL.includes(state)
}

const STEPS: Readonly<Record<OrderKind, readonly Step[]>> = {
  charge: ['waiting', 'open', 'sent', 'done', 'ended'],
  refund: ['approval', 'waiting', 'sent', 'done', 'ended'],
  pay_out: ['approval', 'waiting', 'sent', 'done', 'ended'],
}

/** The step of a state; one that a kind does not have counts as under way. */
export function stepOf(kind: OrderKind, state: OrderState): Step {
  const step: Step = state === 'failed' || state === 'cancelled' || state === 'expired' ? 'ended' : state
  return STEPS[kind].includes(step) ? step : 'waiting'
}

/** The name of the words: `charge_open`. */
export type FlowName =
  | `charge_${'waiting' | 'open' | 'sent' | 'done' | 'ended'}`
  | `refund_${'approval' | 'waiting' | 'sent' | 'done' | 'ended'}`
  | `pay_out_${'approval' | 'waiting' | 'sent' | 'done' | 'ended'}`

export function flowOf({ kind, state }: Pick<Payment, 'kind' | 'state'>): FlowName {
  return `${kind}_${stepOf(kind, state)}` as FlowName
}

const TONES: Readonly<Record<OrderState, Tone>> = {
  approval: 'amber',
  waiting: 'amber',
  open: 'sky',
  sent: 'amber',
  done: 'jade',
  failed: 'seal',
  cancelled: 'plain',
  expired: 'plain',
}

export function toneOf(state: OrderState): Tone {
  return TONES[state]
}

/** Faults of a payment that have words of their own; all others have the same. */
const FAULTS = ['declined', 'over_refund', 'credentials', 'expired', 'not_approved', 'destination', 'currency', 'returned', 'paid_late'] as const

export type PaymentFault = (typeof FAULTS)[number] | 'other'

export function faultOf(fault: string): PaymentFault {
  return FAULTS.find((known) => known === fault) ?? 'other'
}
