import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { placeBeside } from '../src/placement'

const screen = { width: 400, height: 800 }

describe('what floats', () => {
  it('stands below its anchor, at its end', () => {
    expect(placeBeside({ left: 300, top: 100, right: 344, bottom: 144 }, { width: 180, height: 200 }, screen)).toEqual({ left: 164, top: 148 })
  })

  it('stands above where there is no room below', () => {
    expect(placeBeside({ left: 10, top: 700, right: 54, bottom: 744 }, { width: 180, height: 200 }, screen, 'start')).toEqual({ left: 10, top: 496 })
  })

  it('never leaves the screen when it fits', () => {
    const coordinate = fc.integer({ min: 0, max: 800 })
    fc.assert(
      fc.property(coordinate, coordinate, fc.integer({ min: 1, max: 384 }), fc.integer({ min: 1, max: 784 }), fc.constantFrom('start' as const, 'end' as const), (x, y, width, height, side) => {
        const { left, top } = placeBeside({ left: x, top: y, right: x + 44, bottom: y + 44 }, { width, height }, screen, side)
        expect(left).toBeGreaterThanOrEqual(8)
        expect(top).toBeGreaterThanOrEqual(8)
        expect(left + width).toBeLessThanOrEqual(screen.width - 8)
        expect(top + height).toBeLessThanOrEqual(screen.height - 8)
      }),
    )
  })
})
