import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { Fault } from '../src/api/fault'
import { moneyNotice } from '../src/components/money/notices'
import { courseShape, dayAt, sharesOf, sumsOf } from '../src/money/course'
import { CURRENCIES } from '../src/money/currency'
import { faultOf, flowOf, isFinal, stepOf, toneOf } from '../src/money/flow'
import { chargeBounds, chargeCurrencies, mostOf, needsApproval, presetsFor, purseOf, spendable, spendBounds } from '../src/money/offers'
import { momentsOf, spanOf } from '../src/money/periods'
import { pledgeOfLine, pledgeOfPayment, stakeMove } from '../src/money/stakes'
import { begunOf, isUncertain, keepBegun } from '../src/money/submission'
import type { Day, OrderKind, OrderState, Wallet } from '../src/money/types'
import { noticeOf, targetOf } from '../src/notifications/centre'
import { language } from '../src/preferences'
import en from '../src/locales/en'
import zhCN from '../src/locales/zh-CN'

const KINDS: OrderKind[] = ['charge', 'refund', 'pay_out']
const STATES: OrderState[] = ['approval', 'waiting', 'open', 'sent', 'done', 'failed', 'cancelled', 'expired']

describe('money of pledges', () => {
  const line = (available: number, held: number, about = 'pledge:g_1'): Parameters<typeof stakeMove>[0] => ({ about, available, held })

  it('says what a pledge did to one\'s own money', () => {
    expect(stakeMove(line(-100, 100))).toBe('held')
    expect(stakeMove(line(100, -100))).toBe('back')
    expect(stakeMove(line(0, -100))).toBe('gone')
    expect(stakeMove(line(40, -100))).toBe('divided')
    expect(stakeMove(line(20, 0))).toBe('received')
    expect(stakeMove(line(-100, 100, 'order:y_1'))).toBeNull()
  })

  it('finds the pledge of a line and of a payment', () => {
    expect(pledgeOfLine({ about: 'pledge:g_1' })).toBe('g_1')
    expect(pledgeOfLine({ about: 'for:p_1' })).toBeNull()
    expect(pledgeOfPayment({ purpose: 'stake:g_1' })).toBe('g_1')
    expect(pledgeOfPayment({ purpose: 'top_up' })).toBeNull()
  })
})

describe('where money is', () => {
  it('every state of every kind has words for now and next, in both languages', () => {
    for (const kind of KINDS) {
      for (const state of STATES) {
        const name = flowOf({ kind, state })
        for (const messages of [en, zhCN]) {
          const words: { now: string; next: string } | undefined = messages.wallet.flow[name]
          expect([kind, state, words.now.length > 0, words.next.length > 0]).toEqual([kind, state, true, true])
        }
      }
    }
  })

  it('what did not come to pass leaves the money where it was', () => {
    for (const state of ['failed', 'cancelled', 'expired'] as const) {
      expect(flowOf({ kind: 'charge', state })).toBe('charge_ended')
      expect(flowOf({ kind: 'pay_out', state })).toBe('pay_out_ended')
    }
    expect(stepOf('refund', 'open')).toBe('waiting')
    expect(stepOf('charge', 'approval')).toBe('waiting')
  })

  it('final states are those after which nothing comes', () => {
    expect(STATES.filter(isFinal)).toEqual(['done', 'failed', 'cancelled', 'expired'])
    expect(STATES.filter((state) => toneOf(state) === 'seal')).toEqual(['failed'])
  })

  it('an unknown fault has words too', () => {
    expect(faultOf('declined')).toBe('declined')
    expect(faultOf('something_new')).toBe('other')
    expect(faultOf('toString')).toBe('other')
  })
})

const wallet: Wallet = {
  standing: 'open',
  guardian: null,
  currency: 'CNY',
  purses: [
    { currency: 'EUR', available: 5000, held: 0, leaving: 0, owed: 0 },
    { currency: 'CNY', available: 12_000, held: 500, leaving: 200, owed: 0 },
    { currency: 'USD', available: 0, held: 100, leaving: 0, owed: 0 },
  ],
  providers: [{ name: 'sandbox', charges: { EUR: [100, 50_000], CNY: [100, 500_000] }, pay_outs: true, test: true }],
  limits: [
    { kind: 'charge', currency: 'CNY', single: 100_000, day_left: 30_000, month_left: 40_000, four_eyes: null },
    { kind: 'pay_out', currency: 'CNY', single: 100_000, day_left: 200_000, month_left: 1_000_000, four_eyes: 10_000 },
    { kind: null, currency: 'CNY', single: 50_000, day_left: 100_000, month_left: 500_000, four_eyes: null },
  ],
  factor: true,
}
const provider = wallet.providers[0] ?? null

describe('what a form offers', () => {
  it('the wallet’s own currency comes first, where it is taken', () => {
    expect(chargeCurrencies(provider, 'EUR')).toEqual(['EUR', 'CNY'])
    expect(chargeCurrencies(provider, 'CNY')).toEqual(['CNY', 'EUR'])
    expect(chargeCurrencies(provider, 'JPY')).toEqual(['CNY', 'EUR'])
    expect(chargeCurrencies(null, 'CNY')).toEqual([])
    expect(spendable(wallet)).toEqual(['CNY', 'EUR'])
    expect(spendable({ ...wallet, purses: [] })).toEqual(['CNY'])
  })

  it('bounds are the narrower of what the provider takes, what is allowed and what is there', () => {
    expect(chargeBounds(wallet, provider, 'CNY')).toEqual({ least: 100, most: 30_000 })
    expect(chargeBounds(wallet, provider, 'EUR')).toEqual({ least: 100, most: 50_000 })
    expect(chargeBounds(wallet, null, 'CNY')).toEqual({ least: null, most: 30_000 })
    expect(spendBounds(wallet, null, 'CNY')).toEqual({ least: 1, funds: 12_000, most: 50_000 })
    expect(spendBounds(wallet, null, 'GBP')).toEqual({ least: 1, funds: 0, most: null })
    expect(mostOf(null)).toBeNull()
    expect(purseOf(wallet, 'JPY')).toEqual({ currency: 'JPY', available: 0, held: 0, leaving: 0, owed: 0 })
  })

  it('amounts to begin with are those that would be taken', () => {
    expect(presetsFor('CNY', { least: 2500, most: 10_000 })).toEqual([5000, 10_000])
    for (const currency of CURRENCIES) expect(presetsFor(currency, {}).length).toBeGreaterThan(2)
  })

  it('four eyes look at what is more than the bound', () => {
    expect(needsApproval(wallet, 'pay_out', 'CNY', 10_000)).toBe(false)
    expect(needsApproval(wallet, 'pay_out', 'CNY', 10_001)).toBe(true)
    expect(needsApproval(wallet, 'charge', 'CNY', 99_999_999)).toBe(false)
  })
})

describe('a form that is sent once', () => {
  function shelf(kept: Record<string, string> = {}): Storage {
    return {
      getItem: (name: string) => kept[name] ?? null,
      setItem: (name: string, value: string) => void (kept[name] = value),
      removeItem: (name: string) => void delete kept[name],
    } as Storage
  }
  const empty = { text: '', amount: 0 }

  it('comes back with its id and what was entered', () => {
    const store = shelf()
    keepBegun(store, 'form', { id: 'abc', fields: { text: '12.50', amount: 1250 }, sent: true })
    expect(begunOf(store, 'form', empty)).toEqual({ id: 'abc', fields: { text: '12.50', amount: 1250 }, sent: true })
    keepBegun(store, 'form', null)
    expect(begunOf(store, 'form', empty)).toBeNull()
  })

  it('what another version or another hand left is not taken', () => {
    for (const text of ['', 'x', 'null', '[]', '{}', '{"id":1,"fields":{}}', '{"id":"a","fields":null}', '{"id":"a","fields":{"text":1,"amount":0}}', '{"id":"a","fields":{"text":""}}']) {
      expect([text, begunOf(shelf({ form: text }), 'form', empty)]).toEqual([text, null])
    }
    const full = { getItem: () => null, setItem: () => { throw new Error('full') }, removeItem: () => { throw new Error('forbidden') } }
    expect(() => keepBegun(full, 'form', { id: 'a', fields: empty, sent: false })).not.toThrow()
    expect(() => keepBegun(full, 'form', null)).not.toThrow()
  })

  it('only a lost answer leaves open whether it was done', () => {
    for (const code of ['offline', 'internal', 'unavailable', 'try_later'] as const) expect([code, isUncertain(new Fault(code, ''))]).toEqual([code, true])
    for (const code of ['insufficient_funds', 'amount_limit', 'bad_request', 'factor_needed', 'too_often', 'idempotency_conflict'] as const) expect([code, isUncertain(new Fault(code, ''))]).toEqual([code, false])
    expect(isUncertain(new TypeError('?'))).toBe(true)
  })
})

describe('the course of a purse', () => {
  const day = fc.record({ date: fc.constant('2026-11-22'), incoming: fc.nat(1_000_000), outgoing: fc.nat(1_000_000), balance: fc.nat(10_000_000) })
  const size = { width: 600, line: 110, bars: 56 }

  it('stays inside its frame, whatever moved', () => {
    fc.assert(
      fc.property(fc.array(day, { maxLength: 60 }), (days: Day[]) => {
        const shape = courseShape(days, size)
        expect(shape.bars).toHaveLength(days.length)
        for (const bar of shape.bars) {
          expect(bar.x).toBeGreaterThanOrEqual(0)
          expect(bar.x + bar.width).toBeLessThanOrEqual(size.width + 1e-6)
          for (const height of [bar.incoming, bar.outgoing]) expect(height >= 0 && height <= size.bars / 2 + 1e-6).toBe(true)
        }
        for (const [, y] of shape.line.matchAll(/(?:M0 |V)(-?[\d.]+)/g)) expect(Number(y) >= 0 && Number(y) <= size.line).toBe(true)
        expect(shape.line.includes('NaN')).toBe(false)
        expect(days.every(({ balance }) => balance <= shape.top)).toBe(true)
      }),
    )
  })

  it('steps from evening to evening; what moved at all can be seen', () => {
    const days = [
      { date: '2026-11-01', incoming: 10_000, outgoing: 0, balance: 10_000 },
      { date: '2026-11-02', incoming: 0, outgoing: 1, balance: 9_999 },
    ]
    const shape = courseShape(days, { width: 100, line: 50, bars: 20 })
    expect(shape.top).toBe(10_000)
    expect(shape.line).toBe('M0 0.0H50.0V0.0H100.0')
    expect(shape.bars[0]).toEqual({ x: 7.5, width: 35, incoming: 10, outgoing: 0 })
    expect(shape.bars[1]?.outgoing).toBe(2)
    expect(courseShape([], size)).toMatchObject({ line: '', area: '', bars: [] })
    expect(sumsOf(days)).toEqual({ incoming: 10_000, outgoing: 1, balance: 9_999 })
    expect(sumsOf([])).toEqual({ incoming: 0, outgoing: 0, balance: 0 })
  })

  it('a pointer finds the day under it', () => {
    const days = Array.from({ length: 4 }, () => ({ date: '2026-11-01', incoming: 0, outgoing: 0, balance: 0 }))
    expect([0, 0.24, 0.26, 0.99, 1].map((place) => dayAt(days, place))).toEqual([0, 0, 1, 3, 3])
    expect([-0.1, 1.1, Number.NaN].map((place) => dayAt(days, place))).toEqual([null, null, null])
    expect(dayAt([], 0.5)).toBeNull()
  })

  it('shares of a bar are the whole, or nothing', () => {
    const part = (amount: number): { amount: number; to: string; tone: 'jade' } => ({ amount, to: 'x', tone: 'jade' })
    expect(sharesOf([part(40), part(10)])).toEqual([80, 20])
    expect(sharesOf([part(0), part(0)])).toEqual([0, 0])
    fc.assert(
      fc.property(fc.array(fc.nat(Number.MAX_SAFE_INTEGER), { minLength: 1, maxLength: 8 }), (amounts) => {
        const sum = sharesOf(amounts.map(part)).reduce((all, share) => all + share, 0)
        expect(amounts.some((amount) => amount > 0) ? Math.abs(sum - 100) < 1e-6 : sum === 0).toBe(true)
      }),
    )
  })
})

describe('the time of a statement', () => {
  const clock = { language: 'en', zone: 'Asia/Shanghai' }

  it('so many days until today', () => {
    expect(spanOf('30', { first: '', last: '' }, '2026-11-22')).toEqual({ first: '2026-10-24', last: '2026-11-22' })
    expect(spanOf('365', { first: 'x', last: 'x' }, '2026-11-22')).toEqual({ first: '2025-11-23', last: '2026-11-22' })
  })

  it('days chosen by hand are put right', () => {
    expect(spanOf('own', { first: '2026-11-01', last: '2026-11-10' }, '2026-11-22')).toEqual({ first: '2026-11-01', last: '2026-11-10' })
    expect(spanOf('own', { first: '2026-11-10', last: '2026-11-01' }, '2026-11-22')).toEqual({ first: '2026-11-01', last: '2026-11-01' })
    expect(spanOf('own', { first: '', last: '2030-01-01' }, '2026-11-22')).toEqual({ first: '2026-11-22', last: '2026-11-22' })
    expect(spanOf('own', { first: '2001-01-01', last: '' }, '2026-11-22')).toEqual({ first: '2025-11-22', last: '2026-11-22' })
  })

  it('a day ends where the next one begins, also when the clocks are changed', () => {
    const { from, to } = momentsOf({ first: '2026-11-22', last: '2026-11-22' }, clock)
    expect(new Date(from).toISOString()).toBe('2026-11-21T16:00:00.000Z')
    expect(to - from).toBe(86_400_000)
    const changed = momentsOf({ first: '2026-10-25', last: '2026-10-25' }, { language: 'en', zone: 'Europe/London' })
    expect(changed.to - changed.from).toBe(90_000_000)
  })
})

describe('news of money', () => {
  const name = (id: string): string => ({ p_ada: 'Ada', p_lin: 'Lin' })[id] ?? '?'
  function told(kind: string, body: Record<string, unknown>): [string, string | null] {
    const notice = noticeOf({ seq: 1, n: 1, at: 0, by: 'system', id: 'e', kind, body }, 'p_me')
    if (!notice) throw new Error('no notice')
    return [moneyNotice(notice, name, 'p_me'), targetOf(notice)]
  }

  it('says who paid how much, and for whom one keeps it', () => {
    language.value = 'en'
    const paid = { transfer: 't_1', by: 'p_ada', beneficiary: 'p_me', amount: 1250, currency: 'CNY' }
    expect(told('money_received', paid)).toEqual(['Ada paid you ¥12.50', '/wallet/statement'])
    expect(told('money_received', { ...paid, beneficiary: 'p_lin' })[0]).toBe('Ada paid ¥12.50 for Lin, whose money you look after')
    expect(told('money_received', { ...paid, currency: 'XXX' })[0]).toBe('Ada paid you ')
  })

  it('leads to the payment and to the accounts', () => {
    expect(told('payment_ended', { order: 'y_1', kind: 'pay_out', state: 'done' })).toEqual(['Pay-out: done', '/wallet/payments/y_1'])
    expect(told('payment_ended', { order: 'y_1', kind: 'refund', state: 'failed' })[0]).toContain('Sent back: it did not come to pass')
    expect(told('dispute_decided', { dispute: 'd_1', payment: 'y_2' })[1]).toBe('/wallet/payments/y_2')
    expect(told('payout_account_changed', { account: 'b_1', ending: '5432', done: 'removed' })).toEqual(['An account for pay-outs was removed: 5432', '/wallet/accounts'])
    expect(told('payout_account_changed', { account: 'b_1', ending: '5432', done: 'added' })[0]).toContain('change your password')
    expect(told('adjusted', { adjustment: 'a_1', transfer: 't_1' })).toEqual(['The finance desk corrected your wallet', '/wallet/statement'])
  })
})
