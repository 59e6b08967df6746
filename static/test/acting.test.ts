import { describe, expect, it } from 'vitest'

import type { PersonCard } from '../src/api/types'
import { concernedBy, doneAtOf, left, mayDeny, meaningOf, momentOf, openCheck, seatsFree, seatsInOrder, shareLeft, voteOf, waitsIn, wallOf } from '../src/pledges/acting'
import type { CheckView, PledgeView, SeatView, TaskView } from '../src/pledges/types'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DUE = Date.parse('2026-11-25T13:00:00Z')

const person = (id: string): PersonCard => ({ id, handle: id, name: id, avatar: null, introduction: '' })
const check = (more: Partial<CheckView> = {}): CheckView => ({ id: 'x', by: null, at: DUE - HOUR, until: DUE - HOUR / 2, state: 'asked', answered: null, words: '', evidence: [], ...more })
const seat = (id: string, state: SeatView['state'], at = 0): SeatView => ({ person: person(id), state, via: 'applied', at, until: null, words: '' })

function task(more: Partial<TaskView> = {}): TaskView {
  return {
    n: 1,
    title: 'Read',
    opens: DUE - 12 * HOUR,
    due: DUE,
    late: DUE + HOUR,
    judged_by: DUE + 49 * HOUR,
    state: 'open',
    early: false,
    reported: null,
    decided: null,
    decided_by: '',
    voted: 0,
    voters: 3,
    votes: [],
    tally: null,
    checks: [],
    can: [],
    ...more,
  }
}

const pledge = (tasks: TaskView[], more: Partial<PledgeView> = {}): PledgeView => ({ id: 'g_1', tasks, seats: [], owner: person('emma'), stake: { split: null }, terms: { most: 3 }, ...more }) as unknown as PledgeView

describe('a stamp', () => {
  it('says what the moment at which it was done makes of it', () => {
    expect(meaningOf(task(), 'done', DUE)).toBe('on_time')
    expect(meaningOf(task(), 'done', DUE + 1)).toBe('in_grace')
    expect(meaningOf(task(), 'done', DUE + HOUR)).toBe('in_grace')
    expect(meaningOf(task(), 'done', DUE + HOUR + 1)).toBe('too_late')
    expect(meaningOf(task(), 'not_done', DUE)).toBe('not_kept')
    expect(meaningOf(task(), 'abstain', DUE)).toBe('nothing')
  })

  it('cannot deny what may still be done', () => {
    expect(mayDeny(task(), DUE + HOUR)).toBe(false)
    expect(mayDeny(task(), DUE + HOUR + 1)).toBe(true)
  })

  it('means the moment at which it was said, which is never ahead of us', () => {
    expect(doneAtOf(task({ reported: DUE - 5 }), DUE)).toBe(DUE - 5)
    expect(doneAtOf(task({ reported: DUE + 5 }), DUE)).toBe(DUE)
    expect(doneAtOf(task(), DUE)).toBe(DUE)
  })

  it('is found again by who pressed it', () => {
    const mine = { person: person('tom'), verdict: 'done' as const, at: DUE, done_at: null, counts: true, words: '', evidence: [], in_person: false }
    expect(voteOf(task({ votes: [mine] }), 'tom')).toBe(mine)
    expect(voteOf(task({ votes: [mine] }), 'ann')).toBeNull()
  })
})

describe('what waits for somebody', () => {
  it('is stamped when it was said to be done, or when its time has come', () => {
    const can = ['stamp']
    expect(waitsIn(pledge([task({ can })]), DUE - 1)).toEqual([])
    expect(waitsIn(pledge([task({ can })]), DUE).map(({ act }) => act)).toEqual(['stamp'])
    expect(waitsIn(pledge([task({ can, reported: DUE - HOUR })]), DUE - 1).map(({ act }) => act)).toEqual(['stamp'])
  })

  it('begins with what is over first, and a question comes before the report', () => {
    const asked = task({ n: 1, checks: [check({ until: DUE - 1 })], can: ['answer_check', 'report'] })
    const open = task({ n: 2, late: DUE + 2, can: ['report', 'admit'] })
    const later = task({ n: 3, late: DUE + 9, can: ['report'] })
    expect(waitsIn(pledge([later, open, asked]), DUE - 2).map((wait) => [wait.task.n, wait.act, wait.until])).toEqual([
      [1, 'answer_check', DUE - 1],
      [2, 'report', DUE + 2],
      [3, 'report', DUE + 9],
    ])
    expect(waitsIn(pledge([asked]), DUE).map(({ act }) => act)).toEqual(['report'])
  })

  it('is nothing where nothing may be done, or it was said already', () => {
    expect(waitsIn(pledge([task(), task({ n: 2, reported: DUE, can: ['report'] })]), DUE)).toEqual([])
  })

  it('knows the check that can still be answered', () => {
    const running = check({ id: 'b' })
    expect(openCheck(task({ checks: [check({ state: 'missed' }), running] }), running.until - 1)).toBe(running)
    expect(openCheck(task({ checks: [running] }), running.until)).toBeNull()
  })
})

describe('time that is left', () => {
  it('is told to the second, and never below zero', () => {
    expect([left(90_000, 0), left(999, 0), left(0, 5), left(HOUR + 4 * MINUTE + 9_000, 0)]).toEqual(['1:30', '0:01', '0:00', '1:04:09'])
    expect([shareLeft(0, 100, 25), shareLeft(0, 100, -5), shareLeft(0, 100, 200), shareLeft(5, 5, 5)]).toEqual([0.75, 1, 0, 0])
  })
})

describe('seats', () => {
  it('show who watches first', () => {
    const seats = [seat('gone', 'left'), seat('asks', 'applied'), seat('late', 'seated', 2), seat('first', 'seated', 1), seat('asked', 'invited')]
    expect(seatsInOrder(seats).map((each) => each.person.id)).toEqual(['first', 'late', 'asked', 'asks', 'gone'])
    expect(seatsFree(pledge([], { seats }))).toBe(1)
  })

  it('name everybody whose word ends the time to object, once', () => {
    const seats = [seat('tom', 'seated'), seat('ann', 'left')]
    const split = { payer: person('tom') } as never
    expect(concernedBy(pledge([], { seats, stake: { split } as never })).map(({ id }) => id)).toEqual(['emma', 'tom'])
  })
})

describe('a field for date and time', () => {
  const london = { language: 'en', zone: 'Europe/London' }

  it('says and means the same, also on days on which clocks are changed', () => {
    for (const wall of ['2026-11-25T21:00', '2026-03-29T12:30', '2026-03-29T00:30', '2026-10-25T12:00', '2026-10-25T23:59']) {
      expect(wallOf(momentOf(wall, london) ?? 0, london)).toBe(wall)
    }
    expect(momentOf('2026-11-25T21:00', { language: 'en', zone: 'Asia/Shanghai' })).toBe(DUE)
    expect(momentOf('', london)).toBeNull()
  })
})
