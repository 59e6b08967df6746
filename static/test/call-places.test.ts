import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { placed, waysFor, type Placed, type Wishes } from '../src/components/calls/places'
import { facesAway, showsUpright } from '../src/components/calls/stage'

const some = (count: number, screens = 0): Placed[] => [
  { key: 'me', own: true, screen: false },
  ...Array.from({ length: count }, (_, at) => ({ key: `p${at}`, own: false, screen: false })),
  ...Array.from({ length: screens }, (_, at) => ({ key: `s${at}`, own: false, screen: true })),
]
const wishes = (more: Partial<Wishes> = {}): Wishes => ({ way: 'grid', width: 1280, height: 720, page: 0, pinned: null, speaker: null, ...more })

describe('a picture in its place', () => {
  const size = (width: number, height: number): { width: number; height: number } => ({ width, height })
  it('is seen as a whole where a phone is held upright and the place is wide', () => {
    expect(showsUpright(size(720, 1280), size(640, 360))).toBe(true)
    expect(showsUpright(size(720, 1280), size(360, 640))).toBe(false)
    expect(showsUpright(size(720, 1280), size(96, 128))).toBe(false)
  })
  it('fills its place where only its sides are cut', () => {
    expect(showsUpright(size(1280, 720), size(360, 640))).toBe(false)
    expect(showsUpright(size(1280, 720), size(640, 360))).toBe(false)
    expect(showsUpright(size(0, 0), size(640, 360))).toBe(false)
  })
  it('is a mirror only where the camera looks at oneself', () => {
    const from = (facingMode?: string): MediaStream => ({ getVideoTracks: () => [{ getSettings: () => ({ facingMode }) }] }) as unknown as MediaStream
    expect([facesAway(from('environment')), facesAway(from('user')), facesAway(from()), facesAway(null)]).toEqual([true, false, false, false])
  })
})

describe('the places of a call', () => {
  it('between two: the other one has the stage, oneself the corner, and the other way round when one likes', () => {
    const { places } = placed(some(1), wishes())
    expect(places.get('p0')).toMatchObject({ x: 0, y: 0, width: 1280, height: 720, corner: false })
    expect(places.get('me')).toMatchObject({ corner: true, small: true })
    expect(placed(some(1), wishes({ pinned: 'me' })).places.get('me')).toMatchObject({ corner: false })
  })

  it('a screen is large, unless somebody else was chosen', () => {
    expect(placed(some(3, 1), wishes({ way: 'speaker', speaker: 'p1' })).places.get('s0')?.small).toBe(false)
    expect(placed(some(3, 1), wishes({ way: 'speaker', speaker: 'p1', pinned: 'p2' })).places.get('p2')?.small).toBe(false)
    expect(placed(some(3), wishes({ way: 'speaker', speaker: 'p1' })).places.get('p1')?.small).toBe(false)
  })

  it('shows everybody once, page after page', () => {
    const tiles = some(30)
    for (const way of ['grid', 'wall', 'speaker'] as const) {
      const seen = new Set<string>()
      const { pages } = placed(tiles, wishes({ way, speaker: 'p0' }))
      for (let page = 0; page < pages; page += 1) for (const key of placed(tiles, wishes({ way, page, speaker: 'p0' })).places.keys()) seen.add(key)
      expect(seen.size, way).toBe(31)
    }
  })

  it('offers the wall first to whoever watches several', () => {
    expect(waysFor(1, true)).toEqual(['grid'])
    expect(waysFor(4, true)[0]).toBe('wall')
    expect(waysFor(4, false)[0]).toBe('grid')
  })

  it('never lets tiles leave the stage or lie upon each other', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 2 }), fc.integer({ min: 300, max: 2560 }), fc.integer({ min: 320, max: 1440 }), fc.integer({ min: 0, max: 9 }), fc.constantFrom('grid' as const, 'speaker' as const, 'wall' as const), (count, screens, width, height, page, way) => {
        const { places, page: shown, pages } = placed(some(count, screens), wishes({ way, width, height, page, speaker: 'p1' }))
        expect(shown).toBeLessThan(pages)
        const boxes = [...places.values()]
        expect(boxes.length).toBeGreaterThan(0)
        for (const box of boxes) {
          expect(Math.min(box.x, box.y, width - box.x - box.width, height - box.y - box.height)).toBeGreaterThan(-0.01)
          expect(Math.min(box.width, box.height)).toBeGreaterThan(10)
        }
        const flat = boxes.filter((box) => !box.corner)
        flat.forEach((a, at) =>
          flat.slice(at + 1).forEach((b) => {
            const over = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x) > 0.01 && Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y) > 0.01
            expect(over).toBe(false)
          }),
        )
      }),
    )
  })
})
