import { describe, expect, it } from 'vitest'

import { dateOf, dayOf, daysAgo, dayTitle, fullOf, listTime, timeOf, timeZones, type Clock } from '../src/times'

const english: Clock = { language: 'en', zone: 'Asia/Shanghai' }
const chinese: Clock = { language: 'zh-CN', zone: 'Asia/Shanghai' }
const words = { today: 'Today', yesterday: 'Yesterday' }
/** 22 November 2026, 21:05 in Shanghai. */
const now = Date.UTC(2026, 10, 22, 13, 5)
const HOUR = 3_600_000

describe('moments', () => {
  it('belong to a day of the reader', () => {
    expect(dayOf(now, english)).toBe('2026-11-22')
    expect(dayOf(now + 3 * HOUR, english)).toBe('2026-11-23')
    expect(dayOf(now + 3 * HOUR, { ...english, zone: 'Europe/Berlin' })).toBe('2026-11-22')
    expect(daysAgo(now - 22 * HOUR, now, english)).toBe(1)
  })

  it('are said as a list needs them', () => {
    expect(listTime(now, now, english, words)).toBe('21:05')
    expect(listTime(now - 22 * HOUR, now, english, words)).toBe('Yesterday')
    expect(listTime(now - 72 * HOUR, now, english, words)).toBe('Thu')
    expect(listTime(now - 72 * HOUR, now, chinese, words)).toBe('周四')
    expect(listTime(now - 24 * 30 * HOUR, now, english, words)).toBe('23 Oct')
    expect(listTime(now - 24 * 30 * HOUR, now, chinese, words)).toBe('10月23日')
    expect(listTime(now - 24 * 400 * HOUR, now, english, words)).toBe('18/10/2025')
  })

  it('are said as a page needs them', () => {
    expect(dayTitle(now, now, english, words)).toBe('Today')
    expect(dayTitle(now - 72 * HOUR, now, english, words)).toBe('Thursday 19 November')
    expect(dayTitle(now - 72 * HOUR, now, chinese, words)).toBe('11月19日 周四')
    expect(fullOf(now, chinese)).toBe('2026年11月22日 周日 21:05')
    expect(fullOf(now, english)).toBe('Sunday 22 November 2026 21:05')
    expect(dateOf(now, english)).toBe('22 Nov 2026')
    expect(timeOf(now - 21 * HOUR, english)).toBe('00:05')
  })

  it('do not fail in a zone that this browser does not know', () => {
    expect(timeOf(now, { language: 'en', zone: 'Mars/Olympus' })).toMatch(/^\d\d:\d\d$/)
    expect(timeZones('Mars/Olympus')).toContain('Mars/Olympus')
  })
})
