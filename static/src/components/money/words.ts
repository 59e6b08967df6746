/** Names of the things of the wallet, in the reader's language. */

import { i18n, translate, type Values } from '../../i18n'
import type { MessageKey } from '../../locales/en'
import { faultOf, flowOf } from '../../money/flow'
import { pledgeOfPayment, stakeMove } from '../../money/stakes'
import type { Line, Payment, PayoutAccount } from '../../money/types'

/** A provider that has no name here is called by its own. */
export function providerName(name: string): string {
  const key = `wallet.providers.${name}`
  return i18n.global.te(key) ? translate(key as MessageKey) : name
}

/** What a number of an account looks like, where this provider pays out. */
export function numberHint(provider: string): string {
  const key = `wallet.accounts.numberHints.${provider}`
  return translate((i18n.global.te(key) ? key : 'wallet.accounts.numberHints.other') as MessageKey)
}

function placesOf(payment: Payment): Values {
  return { provider: providerName(payment.provider), account: payment.to === null ? '' : accountName({ provider: payment.provider, ending: payment.to }) }
}

/** A payment for a pledge goes through the wallet, and is set aside there. */
function ofStake(payment: Payment): boolean {
  return payment.kind === 'charge' && pledgeOfPayment(payment) !== null
}

export function nowOf(payment: Payment): string {
  if (ofStake(payment) && payment.state === 'done') return translate('wallet.stake.doneNow')
  return translate(`wallet.flow.${flowOf(payment)}.now`, placesOf(payment))
}

export function nextOf(payment: Payment): string {
  if (ofStake(payment) && payment.state === 'done') return translate('wallet.stake.doneNext')
  if (ofStake(payment) && payment.state === 'open') return translate('wallet.stake.openNext', placesOf(payment))
  return translate(`wallet.flow.${flowOf(payment)}.next`, placesOf(payment))
}

export function faultWords(fault: string): string {
  return translate(`wallet.payment.faults.${faultOf(fault)}`)
}

/** What a payment is: "Top-up", "Paid into a pledge". */
export function paymentTitle(payment: Pick<Payment, 'kind' | 'purpose'>): string {
  return translate(pledgeOfPayment(payment) ? 'wallet.stake.charge' : `wallet.orders.${payment.kind}`)
}

/** What moved, in a sentence: "To Ben", "Top-up", "Set aside for a pledge". */
export function lineTitle(line: Line, nameOf: (person: string) => string): string {
  const stake = stakeMove(line)
  if (stake) return translate(`wallet.stake.${stake}`)
  if (line.kind !== 'payment' || !line.other) return translate(`wallet.kinds.${line.kind}`)
  const name = line.other.name || nameOf(line.other.id)
  return translate(line.available < 0 ? 'wallet.line.to' : 'wallet.line.from', { name })
}

/** "Sandbox, ending 1234" */
export function accountName({ provider, ending }: Pick<PayoutAccount, 'provider' | 'ending'>): string {
  return translate('wallet.accounts.name', { provider: providerName(provider), ending })
}
