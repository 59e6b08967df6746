import type { Entry } from '@vouch/realtime'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { follows, itemAt, NOTHING, opened, reaches, withEarlier, withEntry, type Loaded, type Snapshot } from '../src/chat/timeline'

type Step =
  | { kind: 'message'; by: string; text: string }
  | { kind: 'edit'; ref: number; text: string }
  | { kind: 'delete'; ref: number }
  | { kind: 'joined' }
  | { kind: 'erased'; person: string }

/** The log that the server would hold after these steps; a deletion scrubs what it is about. */
function log(steps: readonly Step[]): Entry[] {
  const entries: Entry[] = []
  let n = 0
  steps.forEach((step, at) => {
    const seq = at + 1
    const base = { seq, at: seq * 1000, id: `id-${seq}` }
    if (step.kind === 'message') {
      n += 1
      entries.push({ ...base, n, by: step.by, kind: 'message', body: { text: step.text } })
      return
    }
    if (step.kind === 'joined' || step.kind === 'erased') {
      const body = step.kind === 'erased' ? { person: step.person } : { persons: ['p_3'], by: 'p_1' }
      entries.push({ ...base, n, by: 'system', kind: step.kind, body })
      return
    }
    const target = entries.find((entry) => entry.seq === step.ref && entry.kind === 'message')
    if (!target) {
      entries.push({ ...base, n, by: 'system', kind: 'renamed', body: { title: 'x', by: 'p_1' } })
      return
    }
    const body = step.kind === 'edit' ? { text: step.text } : {}
    entries.push({ ...base, n, by: target.by, kind: step.kind, body, ref: step.ref })
  })
  return entries
}

/** The page of the entries with these numbers, with the modifiers from elsewhere that are about them. */
function page(entries: readonly Entry[], from: number, to: number): Loaded {
  const within = entries.filter((entry) => entry.seq >= from && entry.seq <= to)
  const numbers = new Set(within.map((entry) => entry.seq))
  return {
    head: entries.length,
    n: entries.at(-1)?.n ?? 0,
    entries: within,
    modifiers: entries.filter((entry) => entry.ref != null && numbers.has(entry.ref) && !numbers.has(entry.seq)),
  }
}

const people = fc.constantFrom('p_1', 'p_2')
const steps = fc.array(
  fc.oneof<fc.Arbitrary<Step>[]>(
    fc.record({ kind: fc.constant('message' as const), by: people, text: fc.string({ minLength: 1, maxLength: 5 }) }),
    fc.record({ kind: fc.constant('edit' as const), ref: fc.integer({ min: 1, max: 30 }), text: fc.string({ maxLength: 5 }) }),
    fc.record({ kind: fc.constant('delete' as const), ref: fc.integer({ min: 1, max: 30 }) }),
    fc.record({ kind: fc.constant('joined' as const) }),
  ),
  { minLength: 1, maxLength: 40 },
)

function words(snapshot: Snapshot): unknown {
  return snapshot.items.map((item) => (item.type === 'message' ? [item.seq, item.by, item.text, item.edit > 0, item.gone] : [item.seq, item.kind]))
}

describe('a snapshot', () => {
  it('plus entries is the new snapshot', () => {
    fc.assert(
      fc.property(steps, fc.nat(), (taken, cut) => {
        const entries = log(taken)
        const at = cut % (entries.length + 1)
        const before = opened(page(entries.slice(0, at), 1, at))
        const after = entries.slice(at).reduce(withEntry, before)
        const whole = opened(page(entries, 1, entries.length))
        expect(words(after)).toEqual(words(whole))
        expect(after.high).toBe(entries.length)
        expect(after.n).toBe(whole.n)
      }),
    )
  })

  it('is the same from pages of any size', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 9 }), (taken, size) => {
        const entries = log(taken)
        let low = Math.max(1, entries.length - size + 1)
        let snapshot = opened(page(entries, low, entries.length))
        while (!reaches(snapshot, 1)) {
          const from = Math.max(1, low - size)
          snapshot = withEarlier(snapshot, page(entries, from, low - 1))
          low = from
        }
        expect(words(snapshot)).toEqual(words(opened(page(entries, 1, entries.length))))
      }),
    )
  })

  it('takes entries again without effect', () => {
    fc.assert(
      fc.property(steps, fc.nat(), (taken, pick) => {
        const entries = log(taken)
        const snapshot = opened(page(entries, 1, entries.length))
        const again = entries[pick % entries.length]
        if (!again) return
        expect(withEntry(snapshot, again)).toBe(snapshot)
      }),
    )
  })
})

const hello: Entry = { seq: 1, n: 1, at: 1, by: 'p_1', id: 'a', kind: 'message', body: { text: 'hello' } }

describe('modifiers', () => {
  const one = opened({ head: 1, n: 1, entries: [hello] })

  it('edits, and the latest edit counts', () => {
    const edited = withEntry(one, { ...hello, seq: 2, id: 'b', kind: 'edit', ref: 1, body: { text: 'hello there' } })
    expect(itemAt(edited, 1)).toMatchObject({ text: 'hello there', edit: 2, gone: false })
    expect(edited.items).toHaveLength(1)
  })

  it('deletes for good', () => {
    const deleted = withEntry(one, { ...hello, seq: 2, id: 'b', kind: 'delete', ref: 1, body: {} })
    const late = withEntry(deleted, { ...hello, seq: 3, id: 'c', kind: 'edit', ref: 1, body: { text: 'back' } })
    expect(itemAt(late, 1)).toMatchObject({ text: '', gone: true })
  })

  it('shows no words of an entry that was scrubbed', () => {
    expect(opened({ head: 1, n: 1, entries: [{ ...hello, body: {}, gone: true }] }).items[0]).toMatchObject({ gone: true, text: '' })
  })

  it('an erased account loses all its words, others keep theirs', () => {
    const other = withEntry(one, { ...hello, seq: 2, n: 2, by: 'p_2', id: 'b' })
    const erased = withEntry(other, { seq: 3, n: 2, at: 3, by: 'system', id: 'c', kind: 'erased', body: { person: 'p_1' } })
    expect(itemAt(erased, 1)).toMatchObject({ gone: true, text: '' })
    expect(itemAt(erased, 2)).toMatchObject({ gone: false, text: 'hello' })
  })

  it('of something unknown change nothing', () => {
    const strange = withEntry(one, { ...hello, seq: 2, id: 'b', kind: 'edit', ref: 99, body: { text: 'x' } })
    expect(strange.items).toEqual(one.items)
  })
})

describe('holes', () => {
  it('are noticed', () => {
    const one = opened({ head: 1, n: 1, entries: [hello] })
    expect(follows(one, { seq: 3 })).toBe(false)
    expect(withEntry(one, { ...hello, seq: 3 })).toBe(one)
  })

  it('a page that does not touch is refused', () => {
    const far = opened({ head: 9, n: 1, entries: [{ ...hello, seq: 9 }] })
    expect(withEarlier(far, { head: 9, n: 1, entries: [{ ...hello, seq: 2 }] })).toBe(far)
  })

  it('an empty log is complete', () => {
    const empty = opened({ head: 0, n: 0, entries: [] })
    expect(reaches(empty, 1)).toBe(true)
    expect(follows(empty, { seq: 1 })).toBe(true)
    expect(withEntry(empty, hello).items).toHaveLength(1)
    expect(reaches(NOTHING, 1)).toBe(true)
  })
})
