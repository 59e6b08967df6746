import { describe, expect, it } from 'vitest'

import { initials, tint, TINTS } from '../src/initials'

describe('initials', () => {
  it.each([
    ['Ada Lovelace', 'AL'],
    ['ada', 'A'],
    ['Jean Luc van Damme', 'JD'],
    ['小林', '小林'],
    ['陈小美', '小美'],
    ['王 大明', '大明'],
    ['读书小组 · Reading circle', '小组'],
    ['محمد علي', 'مع'],
    ['👩‍👩‍👧 family', '👩‍👩‍👧F'],
    ['  ', ''],
  ])('%s → %s', (name, expected) => {
    expect(initials(name)).toBe(expected)
  })
})

describe('tint', () => {
  it('is stable and within the palette', () => {
    for (let at = 0; at < 200; at += 1) {
      const id = `p_${at}`
      expect(tint(id)).toBe(tint(id))
      expect(tint(id)).toBeGreaterThanOrEqual(1)
      expect(tint(id)).toBeLessThanOrEqual(TINTS)
    }
  })

  it('uses the whole palette', () => {
    expect(new Set(Array.from({ length: 200 }, (_, at) => tint(`p_${at}`))).size).toBe(TINTS)
  })
})
