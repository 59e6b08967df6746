import type { Entry } from '@vouch/realtime'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { chipsOf } from '../src/chat/marks'
import { openedThread, threadsOf, withThreadEntry, type ThreadLoaded } from '../src/chat/threads'
import { follows, itemAt, NOTHING, opened, reaches, withEarlier, withEntry, type Loaded, type MessageItem, type Snapshot } from '../src/chat/timeline'

type Step =
  | { kind: 'message'; by: string; text: string; answers: number | null; calls: string[] }
  | { kind: 'edit'; ref: number; text: string }
  | { kind: 'reaction'; ref: number; by: string; emoji: string; on: boolean }
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
      const target = entries.find((entry) => entry.seq === step.answers && entry.kind === 'message')
      const thread = target ? ((target.body['thread'] as number | undefined) ?? target.seq) : undefined
      const body = { text: step.text, mentions: step.calls, ...(thread === undefined ? {} : { thread }) }
      entries.push({ ...base, n, by: step.by, kind: 'message', body, ref: target?.seq ?? null })
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
    if (step.kind === 'reaction') {
      entries.push({ ...base, n, by: step.by, kind: 'reaction', body: { emoji: step.emoji, on: step.on }, ref: step.ref })
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
    modifiers: lastWords(entries.filter((entry) => MODIFIERS.has(entry.kind) && entry.ref != null && numbers.has(entry.ref) && !numbers.has(entry.seq))),
  }
}

const MODIFIERS: ReadonlySet<string> = new Set(['edit', 'delete', 'reaction'])

/** As the server does it: of several modifiers by one person about the same thing only the last one comes along. */
function lastWords(modifiers: readonly Entry[]): Entry[] {
  const last = new Map<string, Entry>()
  for (const entry of modifiers) {
    const key = JSON.stringify([entry.ref, entry.by, entry.kind, entry.body['emoji']])
    last.delete(key)
    last.set(key, entry)
  }
  return [...last.values()]
}

/** The log as it is read after its deletions: the words of deleted messages, and of their edits, are gone. */
function scrubbed(entries: readonly Entry[]): Entry[] {
  const deleted = new Set(entries.filter((entry) => entry.kind === 'delete').map((entry) => entry.ref))
  const erased = new Map(entries.filter((entry) => entry.kind === 'erased').map((entry) => [entry.body['person'], entry.seq]))
  return entries.map((entry) => {
    const own = entry.kind === 'message' && (deleted.has(entry.seq) || entry.seq < (erased.get(entry.by) ?? 0))
    const edit = entry.kind === 'edit' && (deleted.has(entry.ref ?? null) || entry.seq < (erased.get(entry.by) ?? 0))
    return own || edit ? { ...entry, body: {}, gone: true } : entry
  })
}

const people = fc.constantFrom('p_1', 'p_2')
const steps = fc.array(
  fc.oneof<fc.Arbitrary<Step>[]>(
    fc.record({ kind: fc.constant('message' as const), by: people, text: fc.string({ minLength: 1, maxLength: 5 }), answers: fc.option(fc.integer({ min: 1, max: 30 }), { nil: null }), calls: fc.subarray(['p_1', 'p_2']) }),
    fc.record({ kind: fc.constant('reaction' as const), ref: fc.integer({ min: 1, max: 30 }), by: people, emoji: fc.constantFrom('a', 'b'), on: fc.boolean() }),
    fc.record({ kind: fc.constant('edit' as const), ref: fc.integer({ min: 1, max: 30 }), text: fc.string({ maxLength: 5 }) }),
    fc.record({ kind: fc.constant('delete' as const), ref: fc.integer({ min: 1, max: 30 }) }),
    fc.record({ kind: fc.constant('joined' as const) }),
    fc.record({ kind: fc.constant('erased' as const), person: people }),
  ),
  { minLength: 1, maxLength: 40 },
)

function words(snapshot: Snapshot): unknown {
  return snapshot.items.map((item) => (item.type === 'message' ? said(item) : [item.seq, item.kind]))
}

function said(item: MessageItem): unknown {
  const { seq, by, text, edit, gone, removedBy, ref, thread, mentions, reactions } = item
  return { seq, by, text, edited: edit > 0 && !gone, gone, removedBy, ref, thread, mentions, chips: chipsOf(reactions, 'p_1') }
}

/** A thread as the server tells it: deleted answers are none. */
function threadPage(entries: readonly Entry[], root: number): ThreadLoaded {
  const all = scrubbed(entries)
  const replies = all.filter((entry) => entry.kind === 'message' && entry.body['thread'] === root && !entry.gone)
  const numbers = new Set([root, ...replies.map((entry) => entry.seq)])
  return {
    head: entries.length,
    root: all.find((entry) => entry.seq === root) ?? null,
    replies,
    modifiers: lastWords(all.filter((entry) => MODIFIERS.has(entry.kind) && entry.ref != null && numbers.has(entry.ref))),
    more: false,
  }
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
        const entries = scrubbed(log(taken))
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

  it('plus entries is what is read later, when the words that were deleted are gone', () => {
    fc.assert(
      fc.property(steps, fc.nat(), (taken, cut) => {
        const entries = log(taken)
        const at = cut % (entries.length + 1)
        const before = opened(page(scrubbed(entries.slice(0, at)), 1, at))
        const later = scrubbed(entries)
        expect(words(entries.slice(at).reduce(withEntry, before))).toEqual(words(opened(page(later, 1, later.length))))
      }),
    )
  })

  it('of a thread plus entries is the new one, and both count the same answers', () => {
    fc.assert(
      fc.property(steps, fc.nat(), (taken, cut) => {
        const entries = log(taken)
        const at = cut % (entries.length + 1)
        const roots = new Set(entries.flatMap((entry) => (typeof entry.body['thread'] === 'number' ? [entry.body['thread']] : [])))
        const counted = threadsOf(opened(page(scrubbed(entries), 1, entries.length)).items)
        for (const root of roots) {
          if (root > at) continue
          const after = entries.slice(at).reduce(withThreadEntry, openedThread(root, threadPage(entries.slice(0, at), root)))
          const whole = openedThread(root, threadPage(entries, root))
          const shown = ({ root: first, replies, high }: typeof whole): unknown => [first && said(first), replies.map(said), high]
          expect(shown(after)).toEqual(shown(whole))
          expect(counted.get(root)?.count ?? 0).toBe(whole.replies.length)
        }
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

describe('a message', () => {
  it('tells who removed it, live and when it is read later', () => {
    const removal: Entry = { ...hello, seq: 2, by: 'p_9', id: 'b', kind: 'delete', ref: 1, body: {} }
    const live = withEntry(opened({ head: 1, n: 1, entries: [hello] }), removal)
    const later = opened({ head: 2, n: 1, entries: [{ ...hello, body: {}, gone: true }], modifiers: [removal] })
    for (const snapshot of [live, later]) expect(itemAt(snapshot, 1)).toMatchObject({ gone: true, removedBy: 'p_9', reactions: [], mentions: [] })
  })

  it('keeps what it carries, its thread and its origin when it is edited; whom it calls may change', () => {
    const media = [{ id: 'm_1', kind: 'file', name: 'a.pdf', type: 'application/pdf', size: 1 }]
    const body = { text: '@p_2', media, thread: 3, mentions: ['p_2'], forwarded: { by: 'p_4', at: 5 } }
    const edit: Entry = { ...hello, seq: 2, id: 'b', kind: 'edit', ref: 1, body: { text: 'you all', everybody: true } }
    const edited = withEntry(opened({ head: 1, n: 1, entries: [{ ...hello, body, ref: 3 }] }), edit)
    expect(itemAt(edited, 1)).toMatchObject({ text: 'you all', mentions: [], everybody: true, media, thread: 3, ref: 3, forwarded: { by: 'p_4', at: 5 } })
  })

  it('of a later version is read as far as it is understood', () => {
    const strange = { ...hello, body: { text: 7, media: 'x', mentions: null, thread: 'y', forwarded: 3, new: true } }
    expect(opened({ head: 1, n: 1, entries: [strange as unknown as Entry] }).items[0]).toMatchObject({ text: '', media: [], mentions: [], thread: null, forwarded: null, pledge: null })
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
