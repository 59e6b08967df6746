import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { Heights } from '../src/chat/heights'
import { Strip, type StripRow } from '../src/chat/strip'

const heights = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 60 })

describe('heights', () => {
  it('say where each row stands, whatever changed in between', () => {
    fc.assert(
      fc.property(heights, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 400 }), fc.nat())), (first, changes) => {
        const model = [...first]
        const real = new Heights(first)
        for (const [at, height, asked] of changes) {
          expect(real.set(at % model.length, height)).toBe(model[at % model.length] !== height)
          model[at % model.length] = height
          const wanted = asked % (model.length + 1)
          expect(real.top(wanted)).toBe(model.slice(0, wanted).reduce((sum, each) => sum + each, 0))
        }
        expect(real.total).toBe(model.reduce((sum, each) => sum + each, 0))
      }),
    )
  })

  it('find the row at a place', () => {
    fc.assert(
      fc.property(heights, fc.integer({ min: -100, max: 30_000 }), (all, place) => {
        const real = new Heights(all)
        const at = real.at(place)
        if (place < 0) expect(at).toBe(0)
        else if (place >= real.total) expect(at).toBe(all.length - 1)
        else {
          expect(real.top(at)).toBeLessThanOrEqual(place)
          expect(real.bottom(at)).toBeGreaterThan(place)
        }
      }),
    )
  })

  it('of nothing are nothing', () => {
    const none = new Heights([])
    expect([none.total, none.top(3), none.at(10), none.set(0, 5)]).toEqual([0, 0, 0, false])
  })
})

// ── A browser in small ────────────────────────────────────────────────────────────────────────────────────────────

interface Line extends StripRow {
  readonly loose: boolean
}

const HEIGHT = 700

/** Lays out what the strip says, as a browser would: rooms above and below, the rows between as tall as they really are. */
class Screen {
  readonly strip = new Strip<Line>({ firm: (row) => !row.loose, estimate: () => 50 })
  readonly true = new Map<string, number>()
  rows: Line[] = []
  position = 0
  moving = false

  constructor(count: number) {
    this.put(Array.from({ length: count }, (_, at) => this.line(`start-${at}`, 20 + ((at * 37) % 160))))
    this.settle()
  }

  line(key: string, height: number, loose = false): Line {
    this.true.set(key, height)
    return { key, loose }
  }

  put(rows: Line[]): void {
    this.rows = rows
    this.strip.lay(rows)
  }

  height(key: string): number {
    return this.true.get(key) ?? Number.NaN
  }

  get drawn(): readonly Line[] {
    return this.rows.slice(this.strip.first, this.strip.last)
  }

  get content(): number {
    return this.strip.before + this.drawn.reduce((sum, row) => sum + this.height(row.key), 0) + this.strip.after
  }

  /** Where the drawn rows are seen: the distance of their lower edges from the window's upper edge. */
  seen(): Map<string, number> {
    const found = new Map<string, number>()
    let edge = this.strip.before - this.position
    for (const row of this.drawn) {
      edge += this.height(row.key)
      found.set(row.key, edge)
    }
    return found
  }

  settle(): void {
    for (let round = 0; round < 50; round += 1) {
      this.position = this.strip.settle(this.position, HEIGHT, this.moving)
      const news = this.drawn.filter((row) => this.strip.measure(row.key, this.height(row.key)))
      if (news.length === 0) break
    }
    this.position = Math.min(Math.max(0, this.position), Math.max(0, Math.floor(this.content - HEIGHT)))
  }

  scroll(by: number): void {
    const most = Math.max(0, Math.floor(this.content - HEIGHT))
    this.position = Math.min(most, Math.max(0, this.position + by))
    this.moving = true
    this.strip.moved(this.position, HEIGHT)
    this.settle()
  }

  rest(): void {
    this.moving = false
    if (this.strip.adrift) this.settle()
  }

  /** Nothing of the window may be without a row, as long as there are rows. */
  expectFilled(): void {
    const edges = [...this.seen()]
    const total = this.rows.reduce((sum, row) => sum + this.height(row.key), 0)
    const top = this.strip.before - this.position
    const bottom = edges.at(-1)?.[1] ?? top
    if (this.strip.first > 0 || total > HEIGHT) expect(top).toBeLessThanOrEqual(1)
    if (this.strip.last < this.rows.length) expect(bottom).toBeGreaterThanOrEqual(HEIGHT)
    if (this.strip.first === 0) expect(this.strip.before).toBeLessThanOrEqual(1)
  }
}

const size = fc.integer({ min: 10, max: 500 })
const step = fc.oneof(
  fc.record({ kind: fc.constant('scroll' as const), by: fc.integer({ min: -2_500, max: 2_500 }) }),
  fc.record({ kind: fc.constant('rest' as const) }),
  fc.record({ kind: fc.constant('before' as const), sizes: fc.array(size, { minLength: 1, maxLength: 80 }) }),
  fc.record({ kind: fc.constant('behind' as const), sizes: fc.array(size, { minLength: 1, maxLength: 5 }) }),
  fc.record({ kind: fc.constant('resize' as const), at: fc.nat(), height: size }),
  fc.record({ kind: fc.constant('remove' as const), at: fc.nat() }),
)

describe('a strip', () => {
  it('is at its end first, stays there while rows come, and leaves it when somebody scrolls up', () => {
    const screen = new Screen(500)
    expect(screen.seen().get('start-499')).toBeCloseTo(HEIGHT, 0)
    screen.put([...screen.rows, screen.line('new', 333)])
    screen.settle()
    expect(screen.seen().get('new')).toBeCloseTo(HEIGHT, 0)
    screen.scroll(-900)
    screen.put([...screen.rows, screen.line('newer', 90)])
    screen.settle()
    expect(screen.strip.stuck).toBe(false)
    expect(screen.drawn.some((row) => row.key === 'newer')).toBe(false)
  })

  it('draws little of much', () => {
    const screen = new Screen(10_000)
    for (let at = 0; at < 40; at += 1) screen.scroll(-30_000)
    expect(screen.strip.last - screen.strip.first).toBeLessThan(80)
  })

  it('leaves what is seen where it is, whatever comes, goes or grows', () => {
    fc.assert(
      fc.property(fc.integer({ min: 20, max: 200 }), fc.array(step, { maxLength: 40 }), (count, steps) => {
        const screen = new Screen(count)
        let made = 0
        const lines = (sizes: readonly number[]): Line[] => sizes.map((each) => screen.line(`made-${(made += 1)}`, each, each % 7 === 0))
        for (const taken of steps) {
          if (taken.kind === 'scroll') {
            const before = screen.seen()
            screen.scroll(taken.by)
            // All rows move by one amount; the others are new.
            const moves = new Set([...screen.seen()].filter(([key]) => before.has(key)).map(([key, edge]) => Math.round(edge - (before.get(key) ?? 0))))
            expect(moves.size).toBeLessThanOrEqual(2) // rounded up and down
            screen.expectFilled()
            continue
          }
          const before = screen.seen()
          const stuck = screen.strip.stuck
          const held = [...before].find(([key, edge]) => edge > 0 && screen.rows.find((row) => row.key === key)?.loose === false)
          const { position } = screen
          if (taken.kind === 'rest') screen.rest()
          if (taken.kind === 'before') screen.put([...lines(taken.sizes), ...screen.rows])
          if (taken.kind === 'behind') screen.put([...screen.rows, ...lines(taken.sizes)])
          if (taken.kind === 'remove' && screen.rows.length > 12) screen.put(screen.rows.filter((_, at) => at !== taken.at % screen.rows.length))
          if (taken.kind === 'resize') {
            const { key } = screen.rows[taken.at % screen.rows.length] ?? { key: '' }
            screen.true.set(key, taken.height)
            screen.strip.measure(key, taken.height)
          }
          screen.settle()
          screen.expectFilled()
          const most = Math.max(0, Math.floor(screen.content - HEIGHT))
          const free = screen.position > 1 && screen.position < most - 1 && position > 1
          const now = held && screen.seen().get(held[0])
          if (!stuck && free && held && now !== undefined) expect(Math.abs(now - held[1])).toBeLessThanOrEqual(1.5)
        }
      }),
      { numRuns: 300 },
    )
  }, 30_000)

  it('shows a row that is asked for where it is wanted, measured or not', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 2_000 }), fc.nat(), (count, pick) => {
        const screen = new Screen(count)
        const row = screen.rows[pick % count]
        if (!row) return
        screen.moving = false
        expect(screen.strip.holdTop(row.key, 200, HEIGHT)).toBe(true)
        screen.settle()
        screen.expectFilled()
        const bottom = screen.seen().get(row.key)
        expect(bottom).toBeDefined()
        const most = Math.max(0, Math.floor(screen.content - HEIGHT))
        if (bottom !== undefined && screen.position > 1 && screen.position < most - 1) expect(bottom - screen.height(row.key)).toBeCloseTo(200, -1)
      }),
    )
    expect(new Screen(3).strip.holdTop('nobody', 0, HEIGHT)).toBe(false)
  })

  it('knows how far somebody has seen', () => {
    const screen = new Screen(0)
    screen.put(['a', 'b', 'c'].map((key) => screen.line(key, 100)))
    screen.settle()
    expect([screen.strip.seen(0, 99), screen.strip.seen(0, 100), screen.strip.seen(0, 250), screen.strip.seen(0, 900)]).toEqual([-1, 0, 1, 2])
  })

  it('forgets what it measured when the window gets another width', () => {
    const screen = new Screen(100)
    const { total } = screen.strip
    expect(screen.strip.widen(500)).toBe(true)
    expect(screen.strip.widen(500)).toBe(false)
    expect(screen.strip.total).toBe(100 * 50)
    screen.settle()
    expect(screen.strip.total).toBe(total)
    screen.expectFilled()
  })
})
