/** The calls of the wallet: apart from the others, for chats do without them. */

import type { Operations } from '@vouch/realtime/http'

import { call } from '.'
import type { Currency } from '../money/currency'
import type { GiveBack, NewPayoutAccount, PayOut, PayPerson, TopUp, TransferKind, Wallet } from '../money/types'
import { file, request } from './http'

/** What a statement is asked; null: not told. `from` and `to` (excluded) are milliseconds. */
export interface StatementWishes {
  readonly currency: Currency
  readonly kind: TransferKind | null
  readonly from: number | null
  readonly to: number | null
}

function ask<N extends 'list_payments' | 'get_statement' | 'get_course'>(path: Operations[N]['path'], values: object): Promise<Operations[N]['answer']> {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== '')
  return request('GET', `${path}?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`)
}

export const money = {
  wallet: () => request<Wallet>('GET', '/api/v1/me/wallet' satisfies Operations['get_wallet']['path']),
  topUp: (wanted: TopUp) => call<'top_up'>('POST', '/api/v1/me/wallet/top-ups', {}, wanted),
  payments: (before: string | null, limit = 30) => ask<'list_payments'>('/api/v1/me/wallet/payments', { before, limit }),
  /** Asks the provider, while it is under way. */
  payment: (order: string) => call<'get_payment'>('GET', '/api/v1/me/wallet/payments/{order}', { order }),
  cancel: (order: string) => call<'cancel_payment'>('DELETE', '/api/v1/me/wallet/payments/{order}', { order }),
  giveBack: (order: string, wanted: GiveBack) => call<'give_back'>('POST', '/api/v1/me/wallet/payments/{order}/refunds', { order }, wanted),
  dispute: (order: string, words: string) => call<'open_dispute'>('POST', '/api/v1/me/wallet/payments/{order}/disputes', { order }, { words }),
  disputeOf: (order: string) => call<'get_own_dispute'>('GET', '/api/v1/me/wallet/payments/{order}/disputes', { order }),
  payOut: (wanted: PayOut) => call<'pay_out'>('POST', '/api/v1/me/wallet/pay-outs', {}, wanted),
  pay: (wanted: PayPerson) => call<'pay_person'>('POST', '/api/v1/me/wallet/transfers', {}, wanted),
  statement: (wishes: StatementWishes, before: string | null, limit = 50) => ask<'get_statement'>('/api/v1/me/wallet/statement', { ...wishes, before, limit }),
  course: (currency: Currency, from: number, to: number) => ask<'get_course'>('/api/v1/me/wallet/course', { currency, from, to }),
  receipt: (transfer: string, language: string) => file(`/api/v1/me/wallet/receipts/${encodeURIComponent(transfer)}?${new URLSearchParams({ language })}`),
  checkReceipt: (code: string) => call<'check_receipt'>('GET', '/api/v1/receipts/{code}', { code }),
  accounts: () => call<'list_payout_accounts'>('GET', '/api/v1/me/wallet/payout-accounts', {}),
  addAccount: (account: NewPayoutAccount) => call<'add_payout_account'>('POST', '/api/v1/me/wallet/payout-accounts', {}, account),
  removeAccount: (id: string) => call<'remove_payout_account'>('DELETE', '/api/v1/me/wallet/payout-accounts/{id}', { id }),
}
