import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { translate } from '../src/i18n'
import { nearnessOf, roundSpan, spanOf } from '../src/pledges/countdown'
import { countOf, emptyForm, faultsOf, formFrom, formOf, isCohort, kindOf, kindsFor, movesOf, newPledgeOf, seatsOf, stepOfField, termsOf, type Fault, type PledgeForm } from '../src/pledges/draft'
import { groupOf, grouped, joined } from '../src/pledges/lists'
import { plainOf, type Cast, type Speech } from '../src/pledges/plain'
import { currentTask, progressOf, windowOf } from '../src/pledges/progress'
import { firstDay, ONCE, repetitionOf, ruleOf, timesOf, weekdayOf } from '../src/pledges/rhythm'
import { alike, outcomesOf } from '../src/pledges/split'
import type { PledgeCard, PledgeView, Share, TaskView } from '../src/pledges/types'

const NOW = '2026-11-22T20:00'
const HOUR = 3_600_000

function form(fields: Partial<PledgeForm> = {}): PledgeForm {
  return { ...emptyForm('Asia/Shanghai', '2026-11-23', 'CNY'), title: 'Read', supervisors: ['p_tom'], amount: { text: '50', minor: 5_000 }, ...fields }
}

const faults = (of: PledgeForm): Fault[] => faultsOf(of, NOW).map((each) => each.fault)

describe('how long until something', () => {
  it('never says more than there is', () => {
    expect(spanOf(2 * HOUR + 14 * 60_000 + 59_000)).toEqual({ unit: 'hours', hours: 2, minutes: 14 })
    expect(spanOf(51 * HOUR)).toEqual({ unit: 'days', days: 2, hours: 3 })
    expect(spanOf(59_000)).toEqual({ unit: 'moment' })
    expect(spanOf(-1)).toEqual({ unit: 'moment' })
  })

  it('tells what is near from what is over', () => {
    expect([0, 1, 4 * HOUR, 25 * HOUR].map((at) => nearnessOf(at, 0))).toEqual(['over', 'near', 'today', 'far'])
    expect([30, 90, 120, 2_880].map((minutes) => roundSpan(minutes))).toEqual([
      { unit: 'minutes', n: 30 },
      { unit: 'minutes', n: 90 },
      { unit: 'hours', n: 2 },
      { unit: 'days', n: 2 },
    ])
  })
})

describe('how often a task comes', () => {
  const rhythms = fc.record({
    rhythm: fc.constantFrom('once' as const, 'daily' as const, 'workdays' as const, 'weekly' as const, 'monthly' as const),
    days: fc.uniqueArray(fc.integer({ min: 0, max: 6 }), { minLength: 1 }),
    times: fc.integer({ min: 2, max: 200 }),
  })

  it('reads every rule that it writes, but for five days that are those of work', () => {
    fc.assert(
      fc.property(rhythms, ({ rhythm, days, times }) => {
        const rule = ruleOf({ rhythm, days: rhythm === 'weekly' ? days : [], times, rule: '' }, '2026-11-23')
        const read = repetitionOf(rule)
        expect(ruleOf(read, '2026-11-23')).toBe(rule)
        expect(timesOf(rule)).toBe(rhythm === 'once' ? 1 : times)
      }),
    )
  })

  it('keeps a rule that it cannot show', () => {
    const rule = 'FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3'
    expect(repetitionOf(rule).rhythm).toBe('rule')
    expect(ruleOf(repetitionOf(rule), '2026-11-23')).toBe(rule)
  })

  it('begins on the first day that the rhythm has', () => {
    expect(weekdayOf('2026-11-22')).toBe(6)
    expect(firstDay({ ...ONCE, rhythm: 'workdays', times: 5 }, '2026-11-22')).toBe('2026-11-23')
    expect(firstDay({ ...ONCE, rhythm: 'weekly', days: [3], times: 2 }, '2026-11-23')).toBe('2026-11-26')
    expect(firstDay({ ...ONCE, rhythm: 'daily', times: 2 }, '2026-11-22')).toBe('2026-11-22')
  })
})

describe('a draft', () => {
  it('is whole with a title, a day, somebody who watches and an amount', () => {
    expect(faults(form())).toEqual([])
    expect(faults(form({ title: ' ', supervisors: [], amount: { text: '', minor: null } }))).toEqual(['title', 'supervisors', 'amount'])
  })

  it('does not begin in the past', () => {
    const [task] = form().tasks
    if (!task) throw new Error('a form has a task')
    expect(faults(form({ tasks: [{ ...task, date: '2026-11-22', time: '20:00', repetition: ONCE }] }))).toEqual(['past'])
    expect(faults(form({ tasks: [{ ...task, date: '2026-11-22', time: '20:01', repetition: ONCE }] }))).toEqual([])
  })

  it('sends what belongs to the kind of stake, and nothing else', () => {
    const stake = termsOf(form({ kind: 'points', points: 7, words: 'x', to: 'p_ann' })).stake
    expect(stake).toEqual({ kind: 'points', amount: 0, currency: null, moves_if_kept: 0, moves_if_failed: 0, words: '', to: null, points: 7 })
    expect(termsOf(form()).stake).toMatchObject({ kind: 'deposit', amount: 5_000, moves_if_kept: 0, moves_if_failed: 5_000 })
    expect(termsOf(form({ failed: 'part', failedPart: { text: '40', minor: 4_000 } })).stake.moves_if_failed).toBe(4_000)
  })

  it('offers what fits who watches: staff never gains from what is kept, a reward goes back whole', () => {
    expect(kindsFor({ side: 'owner', watching: 'staff' })).toEqual(['staff'])
    expect(kindOf(form({ watching: 'staff' }))).toBe('staff')
    expect(movesOf(form({ watching: 'staff', kept: 'all' }), 'kept')).toBe(0)
    const reward = form({ side: 'supervisor', kind: 'reward', owners: ['p_lin'], kept: 'all', failed: 'all' })
    expect([movesOf(reward, 'kept'), movesOf(reward, 'failed')]).toEqual([5_000, 0])
  })

  it('refuses a part that is more than the whole', () => {
    expect(faults(form({ failed: 'part', failedPart: { text: '60', minor: 6_000 } }))).toEqual(['failed'])
    expect(faults(form({ kept: 'part' }))).toEqual(['kept'])
  })

  it('has a seat for everybody who is named, and needs no more than there are', () => {
    expect(seatsOf(form({ supervisors: ['a', 'b', 'c'], least: 9 }))).toEqual({ least: 3, most: 3 })
    expect(seatsOf(form({ watching: 'listed', supervisors: ['a', 'b'], most: 1 }))).toEqual({ least: 1, most: 2 })
    expect(termsOf(form({ supervisors: ['a', 'b', 'c'], rule: 'k_of_n', k: 9, least: 2 })).rule).toEqual({ kind: 'k_of_n', k: 2 })
  })

  it('is one promise for each of several owners', () => {
    expect(isCohort(form({ side: 'supervisor', owners: ['a', 'b'] }))).toBe(true)
    expect(newPledgeOf(form({ side: 'supervisor', owners: ['a'], kind: 'none' }), 'k')).toMatchObject({ owner: 'a', supervisors: [] })
    expect(newPledgeOf(form(), 'k')).toMatchObject({ owner: null, supervisors: ['p_tom'] })
  })

  it('is read from what was drafted as it was written', () => {
    const written = form({ failed: 'part', failedPart: { text: '40', minor: 4_000 }, needed: 3, grace: 30, watching: 'listed', visibility: 'public', most: 3 })
    const terms = termsOf(written)
    const seat = { person: { id: 'p_tom' } }
    const view = { terms, side: 'owner', owner: { id: 'p_me' }, seats: [seat] } as unknown as PledgeView
    const read = formOf(view, 'Asia/Shanghai', (minor) => String(minor / 100))
    expect(termsOf(read)).toEqual(terms)
    expect(countOf(read)).toBe(5)
  })

  it('is taken up again from this device only when it is understood', () => {
    const kept: unknown = JSON.parse(JSON.stringify(form()))
    expect(formFrom(kept, emptyForm('UTC', '2026-11-23', 'EUR'))?.title).toBe('Read')
    expect(formFrom({ ...form(), tasks: 'none' }, form())).toBeNull()
    expect(formFrom(null, form())).toBeNull()
  })

  it('knows on which step a refused field stands', () => {
    expect(['terms.stake.amount', 'supervisors', 'terms.tasks.0.due', null].map(stepOfField)).toEqual(['stake', 'who', 'what', 'what'])
  })
})

describe('both outcomes', () => {
  it('divides alike without losing anything', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.integer({ min: 1, max: 20 }), (amount, among) => {
        const parts = alike(amount, among)
        expect(parts.reduce((sum, each) => sum + each, 0)).toBe(amount)
        expect(Math.max(...parts) - Math.min(...parts)).toBeLessThanOrEqual(1)
      }),
    )
  })

  it('tells only shares that are there', () => {
    const share = (side: string, amount: number): Share => ({ side, person: null, payee: null, amount, many: 1 })
    const split = { amount: 50, currency: 'CNY' as const, payer: null, if_kept: [share('supervisor', 0), share('payer', 50)], if_failed: [share('department', 50)], frozen: true }
    const { kept, failed } = outcomesOf(split, (each) => each.side)
    expect(kept).toEqual([{ amount: 50, to: 'payer', tone: 'jade' }])
    expect(failed).toEqual([{ amount: 50, to: 'department', tone: 'plain' }])
  })
})

describe('lists', () => {
  const card = (id: string, fields: Partial<PledgeCard> = {}): PledgeCard => ({ id, state: 'active', waits_for_me: '', next: null, role: 'owner', ...fields }) as PledgeCard

  it('puts what waits for oneself first, and what is due first before the others', () => {
    const cards = [card('over', { state: 'settled' }), card('late', { next: 9 }), card('soon', { next: 1 }), card('mine', { waits_for_me: 'stamp' }), card('draft', { state: 'draft', waits_for_me: 'finish' })]
    expect(grouped(cards).map(({ group, cards: of }) => [group, of.map((each) => each.id)])).toEqual([
      ['waits', ['mine']],
      ['running', ['soon', 'late']],
      ['drafts', ['draft']],
      ['over', ['over']],
    ])
    expect(groupOf(card('x', { state: 'awaiting_funds' }))).toBe('begins')
  })

  it('shows a card that has moved once', () => {
    expect(joined([card('a'), card('b')], [card('b'), card('c')]).map((each) => each.id)).toEqual(['a', 'b', 'c'])
  })
})

describe('tasks', () => {
  const task = (n: number, fields: Partial<TaskView> = {}): TaskView => ({ n, title: 'Read', state: 'open', opens: 0, due: n * 10, late: n * 10, reported: null, can: [], ...fields }) as TaskView

  it('counts what counts', () => {
    const tasks = [task(1, { state: 'kept' }), task(2, { state: 'missed' }), task(3, { state: 'void' }), task(4)]
    expect(progressOf({ tasks, terms: { needed: 9 } } as PledgeView)).toEqual({ done: 1, missed: 1, count: 3, needed: 3 })
  })

  it('speaks of what waits for oneself, else of what comes', () => {
    const tasks = [task(1), task(2), task(3, { can: ['stamp'], reported: 5 })]
    expect(currentTask(tasks, 15)?.n).toBe(3)
    expect(currentTask([task(1), task(2)], 15)?.n).toBe(2)
    expect(windowOf(Array.from({ length: 30 }, (_, at) => task(at + 1)), 145, 7).map((each) => each.n)).toEqual([12, 13, 14, 15, 16, 17, 18])
  })
})

describe('plain words', () => {
  const speech: Speech = { t: translate, money: (minor, currency) => `${currency} ${minor / 100}`, day: (day) => day, weekday: (day) => String(day) }
  const cast: Cast = { side: 'owner', owners: [null], watchers: ['Tom', 'Ann'], listed: false, to: 'Tom', days: 14, zone: 'Asia/Shanghai' }

  it('says what, who and what stands by it', () => {
    const terms = termsOf(form({ supervisors: ['a', 'b'], least: 2, failed: 'part', failedPart: { text: '40', minor: 4_000 }, needed: 4 }))
    const plain = plainOf(terms, cast, speech)
    expect(plain.what).toEqual(['You promise “Read”.', 'Every day at 21:00, 5 times, from 2026-11-23.'])
    expect(plain.who).toEqual(['Tom and Ann watch.', 'It begins when 2 have accepted.', 'More than half of them decide.'])
    expect(plain.stake).toEqual(['You put in CNY 50.', 'Kept: all of it comes back.', 'Not kept: CNY 40 goes to Tom and Ann, CNY 10 comes back.'])
    expect(plain.rules[0]).toBe('4 of 5 must be kept.')
  })

  it('says whose reward it is', () => {
    const terms = termsOf(form({ side: 'supervisor', owners: ['p_lin'], kind: 'reward', kept: 'all' }))
    const plain = plainOf(terms, { ...cast, side: 'supervisor', owners: ['Lin'], watchers: [null] }, speech)
    expect(plain.stake).toEqual(['You put in CNY 50.', 'Kept: all of it goes to Lin.', 'Not kept: all of it comes back.'])
    expect(plain.who).toEqual(['You watch.'])
  })
})
