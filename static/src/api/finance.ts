/** The calls of the finance desk: few people load them. */

import type { Operations } from '@vouch/realtime/http'

import type { Book, ExportKind, OrderKind, OrderState } from '../finance/types'
import { call } from '.'
import { request } from './http'

/** What the list of orders is asked; null: not told. */
export interface OrderWishes {
  readonly state: OrderState | null
  readonly kind: OrderKind | null
  readonly provider: string | null
  readonly person: string | null
}

function ask<N extends 'list_orders' | 'list_disputes' | 'list_adjustments' | 'list_reconciliations'>(path: Operations[N]['path'], values: object): Promise<Operations[N]['answer']> {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== '')
  return request('GET', `${path}?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`)
}

export const finance = {
  waiting: () => call<'get_finance_waiting'>('GET', '/api/v1/finance/waiting', {}),

  orders: (wishes: OrderWishes, before: number | null, limit = 50) => ask<'list_orders'>('/api/v1/finance/orders', { ...wishes, before, limit }),
  order: (id: string) => call<'get_order'>('GET', '/api/v1/finance/orders/{id}', { id }),
  look: (id: string) => call<'look_at_order'>('POST', '/api/v1/finance/orders/{id}/look', { id }),
  approve: (id: string) => call<'approve_order'>('POST', '/api/v1/finance/orders/{id}/approval', { id }),
  refuse: (id: string, reason: string) => call<'refuse_order'>('POST', '/api/v1/finance/orders/{id}/refusal', { id }, { reason }),
  byHandle: (handle: string) => request<Operations['find_by_handle']['answer']>('GET', `${'/api/v1/finance/people' satisfies Operations['find_by_handle']['path']}?${new URLSearchParams({ handle })}`),
  holdings: (person: string) => call<'get_holdings'>('GET', '/api/v1/finance/people/{person}', { person }),
  transfer: (id: string) => call<'get_transfer'>('GET', '/api/v1/finance/transfers/{id}', { id }),

  disputes: (decided: boolean, before: number | null) => ask<'list_disputes'>('/api/v1/finance/disputes', { decided, before }),
  dispute: (id: string) => call<'get_dispute'>('GET', '/api/v1/finance/disputes/{id}', { id }),
  decide: (id: string, decision: Operations['decide_dispute']['request']) => call<'decide_dispute'>('POST', '/api/v1/finance/disputes/{id}/decision', { id }, decision),

  adjustments: (decided: boolean, before: number | null) => ask<'list_adjustments'>('/api/v1/finance/adjustments', { decided, before }),
  propose: (wanted: Operations['propose_adjustment']['request']) => call<'propose_adjustment'>('POST', '/api/v1/finance/adjustments', {}, wanted),
  clawBack: (wanted: Operations['propose_claw_back']['request']) => call<'propose_claw_back'>('POST', '/api/v1/finance/claw-backs', {}, wanted),
  approveAdjustment: (id: string) => call<'approve_adjustment'>('POST', '/api/v1/finance/adjustments/{id}/approval', { id }),
  refuseAdjustment: (id: string, reason: string) => call<'refuse_adjustment'>('POST', '/api/v1/finance/adjustments/{id}/refusal', { id }, { reason }),

  reconciliations: (before: number | null) => ask<'list_reconciliations'>('/api/v1/finance/reconciliations', { before }),
  reconcile: (wanted: Operations['begin_reconciliation']['request']) => call<'begin_reconciliation'>('POST', '/api/v1/finance/reconciliations', {}, wanted),
  reconciliation: (id: string) => call<'get_reconciliation'>('GET', '/api/v1/finance/reconciliations/{id}', { id }),
  settle: (id: string, place: number, wanted: Operations['settle_difference']['request']) =>
    call<'settle_difference'>('POST', '/api/v1/finance/reconciliations/{id}/differences/{place}', { id, place: String(place) }, wanted),

  books: () => call<'get_books'>('GET', '/api/v1/finance/books', {}),
  verify: (book: Book) => call<'verify_book'>('POST', '/api/v1/finance/books/{book}', { book }),
  /** Where the browser saves a table from. */
  exportAddress: (kind: ExportKind, from: number, to: number): string => `/api/v1/finance/exports/${kind}?${new URLSearchParams({ from: String(from), to: String(to) })}`,
}
