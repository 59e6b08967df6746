import type { Entry } from '@vouch/realtime'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import type { Loaded } from '../src/chat/timeline'
import { holds, joinedPages, NO_WINDOWS, shown, withAltered, withAside, withEarlierPage, withLaterPage, withNewest, withNext, type Windows } from '../src/chat/window'

/** A log in which every third entry edits or deletes an earlier one. */
function entry(seq: number): Entry {
  const base = { seq, n: seq, at: seq * 1000, by: `p_${seq % 3}`, id: `id-${seq}` }
  if (seq % 3 !== 0) return { ...base, kind: 'message', body: { text: `text ${seq}` } }
  const ref = Math.max(1, Math.floor(seq / 2))
  return seq % 2 === 0 ? { ...base, kind: 'edit', body: { text: `better by ${seq}` }, ref } : { ...base, kind: 'delete', body: {}, ref }
}

/** As the server answers while its log ends at `head`: with whatever is about these entries, wherever that stands. */
function page(low: number, high: number, head: number): Loaded {
  const all = Array.from({ length: head }, (_, at) => entry(at + 1))
  const entries = all.filter(({ seq }) => seq >= low && seq <= high)
  const within = new Set(entries.map(({ seq }) => seq))
  return { head, n: head, entries, modifiers: all.filter(({ ref, seq }) => ref != null && within.has(ref) && !within.has(seq)) }
}

/** What the whole log says about these numbers, without windows. */
function truth(low: number, high: number, head: number): unknown[] {
  const said = new Map<number, { text: string; edit: number; gone: boolean }>()
  for (let seq = 1; seq <= head; seq += 1) {
    const each = entry(seq)
    const target = said.get(each.ref ?? 0)
    if (each.kind === 'message') said.set(seq, { text: `text ${seq}`, edit: 0, gone: false })
    else if (target && each.kind === 'delete') said.set(each.ref ?? 0, { text: '', edit: target.edit, gone: true })
    else if (target && !target.gone) said.set(each.ref ?? 0, { text: `better by ${seq}`, edit: seq, gone: false })
  }
  return [...said].filter(([seq]) => seq >= low && seq <= high).map(([seq, { text, gone }]) => [seq, text, gone])
}

function words(windows: Windows): unknown[] {
  return shown(windows).items.map((item) => (item.type === 'message' ? [item.seq, item.text, item.gone] : [item.seq, item.kind]))
}

const step = fc.oneof(
  fc.record({ kind: fc.constant('live' as const), count: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ kind: fc.constant('earlier' as const), size: fc.integer({ min: 1, max: 40 }), late: fc.nat(5) }),
  fc.record({ kind: fc.constant('later' as const), size: fc.integer({ min: 1, max: 40 }), late: fc.nat(5) }),
  fc.record({ kind: fc.constant('jump' as const), to: fc.nat(), around: fc.integer({ min: 1, max: 20 }), late: fc.nat(5) }),
  fc.record({ kind: fc.constant('again' as const), size: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ kind: fc.constant('newest' as const) }),
)

describe('windows', () => {
  it('never hold anything twice, never leave a hole, and say what the log says', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 40 }), fc.array(step, { maxLength: 25 }), (start, size, steps) => {
        let head = start
        let windows = withNewest(NO_WINDOWS, page(Math.max(1, head - size + 1), head, head))

        /** Live entries come while a page is on its way, and the store applies them to it afterwards. */
        function meanwhile(count: number): Entry[] {
          const came: Entry[] = []
          for (let at = 0; at < count; at += 1) {
            head += 1
            came.push(entry(head))
            windows = withNext(windows, entry(head))
          }
          return came
        }

        for (const taken of steps) {
          const { low, high } = shown(windows)
          if (taken.kind === 'live') meanwhile(taken.count)
          if (taken.kind === 'newest') windows = { ...windows, aside: null }
          if (taken.kind === 'again') windows = withNewest(windows, page(Math.max(1, head - taken.size + 1), head, head))
          if (taken.kind === 'earlier') {
            const loaded = page(Math.max(1, low - taken.size), low - 1, head)
            const came = meanwhile(taken.late)
            windows = withAltered(withEarlierPage(windows, loaded), came)
          }
          if (taken.kind === 'later') {
            const loaded = page(high + 1, high + taken.size, head)
            const came = meanwhile(taken.late)
            windows = withAltered(withLaterPage(windows, loaded), came)
          }
          if (taken.kind === 'jump') {
            const to = (taken.to % head) + 1
            const loaded = joinedPages(page(Math.max(1, to - taken.around + 1), to, head), page(to + 1, to + taken.around, head))
            const came = meanwhile(taken.late)
            if (!holds(windows.newest, to)) {
              windows = withAltered(withAside(windows, loaded), came)
              expect(holds(shown(windows), to)).toBe(true)
            }
          }
          const now = shown(windows)
          expect(words(windows)).toEqual(truth(now.low, now.high, head))
          expect(windows.newest.high).toBe(head)
          if (windows.aside) expect(windows.aside.high).toBeLessThan(windows.newest.low - 1)
        }
      }),
      { numRuns: 300 },
    )
  }, 30_000)

  it('are one as soon as they touch', () => {
    let windows = withNewest(NO_WINDOWS, page(91, 100, 100))
    windows = withAside(windows, page(40, 60, 100))
    expect([windows.aside?.low, windows.aside?.high, windows.newest.low]).toEqual([40, 60, 91])
    windows = withLaterPage(windows, page(61, 89, 100))
    expect(windows.aside?.high).toBe(89)
    windows = withLaterPage(windows, page(90, 99, 100))
    expect([windows.aside, windows.newest.low, windows.newest.high]).toEqual([null, 40, 100])
  })

  it('stay as they are when nothing is there', () => {
    const windows = withNewest(NO_WINDOWS, page(91, 100, 100))
    expect(withAside(windows, { head: 100, n: 100, entries: [] })).toBe(windows)
    expect(withLaterPage(windows, page(1, 5, 100))).toBe(windows)
    expect(holds(shown(NO_WINDOWS), 0)).toBe(false)
  })

  it('join when the part that is looked at was there before the newest', () => {
    const windows = withNewest(withAside(NO_WINDOWS, page(80, 95, 100)), page(91, 100, 100))
    expect([windows.aside, windows.newest.low]).toEqual([null, 80])
  })
})
