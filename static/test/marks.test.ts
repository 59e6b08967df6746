import type { Pending } from '@vouch/realtime'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { chipsOf, withMark, type Mark } from '../src/chat/marks'

const on = (emoji: string, by: string, seq: number): Mark => ({ emoji, by, seq, on: true })
const off = (emoji: string, by: string, seq: number): Mark => ({ emoji, by, seq, on: false })

function unsent(emoji: string, put: boolean, state: Pending['state'] = 'waiting'): Pending {
  return { id: emoji, ch: 'conv:c', kind: 'reaction', body: { emoji, on: put }, ref: 1, at: 1, state }
}

describe('reactions', () => {
  it('are the newest word of each about each, in any order of arrival', () => {
    const one = fc.record({ emoji: fc.constantFrom('a', 'b'), by: fc.constantFrom('x', 'y', 'z'), on: fc.boolean() })
    fc.assert(
      fc.property(fc.array(one, { maxLength: 20 }), fc.infiniteStream(fc.nat()), (said, order) => {
        const marks = said.map((each, at) => ({ ...each, seq: at + 1 }))
        const shuffled = marks.map((mark) => ({ mark, key: order.next().value ?? 0 })).toSorted((a, b) => a.key - b.key)
        const lay = (all: readonly Mark[]): unknown => chipsOf(all.reduce<readonly Mark[]>(withMark, []), 'x')
        expect(lay(shuffled.map(({ mark }) => mark))).toEqual(lay(marks))
      }),
    )
  })

  it('stand in the order in which they came, with their people', () => {
    const marks = [on('b', 'y', 1), on('a', 'x', 2), on('b', 'x', 3), off('a', 'y', 4)].reduce<readonly Mark[]>(withMark, [])
    expect(chipsOf(marks, 'x')).toEqual([
      { emoji: 'b', people: ['y', 'x'], own: true },
      { emoji: 'a', people: ['x'], own: true },
    ])
    expect(withMark(marks, on('b', 'y', 1))).toBe(marks)
  })

  it('that are not sent yet count already, those that failed do not', () => {
    const marks = [on('a', 'x', 1), on('a', 'y', 2)]
    expect(chipsOf(marks, 'x', [unsent('a', false), unsent('b', true)])).toEqual([
      { emoji: 'a', people: ['y'], own: false },
      { emoji: 'b', people: ['x'], own: true },
    ])
    expect(chipsOf(marks, 'x', [unsent('a', false), unsent('a', true)])).toMatchObject([{ emoji: 'a', own: true }])
    expect(chipsOf(marks, 'x', [unsent('a', false, 'failed')])).toMatchObject([{ people: ['x', 'y'] }])
    // What is said again is not said anew.
    expect(chipsOf(marks, 'x', [unsent('a', true)])).toMatchObject([{ people: ['x', 'y'] }])
  })
})
