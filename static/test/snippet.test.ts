import { describe, expect, it } from 'vitest'

import { snippetOf } from '../src/chat/snippet'
import { dayAfter, dayOf, startOfDay } from '../src/times'

const joined = (text: string, ranges: { begin: number; end: number }[]): string =>
  snippetOf(text, ranges)
    .map((piece) => (piece.match ? `[${piece.text}]` : piece.text))
    .join('')

describe('what a hit shows of its text', () => {
  it('marks what matches and keeps the rest', () => {
    expect(joined('Café at noon', [{ begin: 0, end: 4 }])).toBe('[Café] at noon')
    expect(joined('去图书馆，图书很多', [{ begin: 1, end: 3 }, { begin: 5, end: 7 }])).toBe('去[图书]馆，[图书]很多')
    expect(joined('no ranges', [])).toBe('no ranges')
  })

  it('is one line', () => {
    expect(joined('one\n\ntwo', [{ begin: 5, end: 8 }])).toBe('one [two]')
  })

  it('begins some words before the first match of a long text, and ends after some', () => {
    const text = `${'word '.repeat(40)}needle ${'tail '.repeat(80)}`
    const shown = joined(text, [{ begin: 200, end: 206 }])
    expect(shown).toMatch(/^…word word word .*\[needle\] tail .*…$/)
    expect(shown.length).toBeLessThan(200)
  })

  it('never cuts a character of two units', () => {
    const text = '😀'.repeat(300)
    for (let begin = 0; begin < 400; begin += 2) {
      for (const piece of snippetOf(text, [{ begin, end: begin + 2 }])) expect(() => encodeURIComponent(piece.text)).not.toThrow()
    }
  })
})

describe('days of the reader', () => {
  it.each([
    ['Asia/Shanghai', '2026-11-22', '2026-11-21T16:00:00.000Z'],
    ['Europe/Berlin', '2026-03-29', '2026-03-28T23:00:00.000Z'],
    ['Europe/Berlin', '2026-03-30', '2026-03-29T22:00:00.000Z'],
    ['America/New_York', '2026-11-01', '2026-11-01T04:00:00.000Z'],
    ['Pacific/Kiritimati', '2026-01-01', '2025-12-31T10:00:00.000Z'],
    ['UTC', '2026-02-28', '2026-02-28T00:00:00.000Z'],
  ])('in %s %s begins at %s', (zone, day, moment) => {
    const clock = { language: 'en', zone }
    expect(new Date(startOfDay(day, clock)).toISOString()).toBe(moment)
    expect(dayOf(startOfDay(day, clock), clock)).toBe(day)
    expect(dayOf(startOfDay(day, clock) - 1, clock)).toBe(dayAfter(day, -1))
  })
})
