import type { Pending } from '@vouch/realtime'
import { describe, expect, it } from 'vitest'

import { rowsOf, type MessageRow, type Row, type Viewer } from '../src/chat/rows'
import type { Item, MessageItem } from '../src/chat/timeline'

const DAY = Date.UTC(2026, 10, 22, 4)
const MINUTE = 60_000

function message(seq: number, by: string, minutes: number, more: Partial<MessageItem> = {}): MessageItem {
  const plain = { media: [], ref: null, thread: null, mentions: [], everybody: false, forwarded: null, pledge: null, reactions: [], edit: 0, gone: false, removedBy: null }
  return { type: 'message', seq, n: seq, at: DAY + minutes * MINUTE, by, id: `id-${seq}`, text: `text ${seq}`, ...plain, ...more }
}

function notice(seq: number, kind: string, minutes: number): Item {
  return { type: 'notice', seq, n: seq, at: DAY + minutes * MINUTE, by: 'system', id: `id-${seq}`, kind, body: {} }
}

function pending(id: string, more: Partial<Pending> = {}): Pending {
  return { id, ch: 'conv:c_1', kind: 'message', body: { text: `unsent ${id}` }, ref: null, at: DAY + 60 * MINUTE, state: 'waiting', ...more }
}

const viewer: Viewer = { me: 'me', clock: { language: 'en', zone: 'Asia/Shanghai' }, unreadAfter: null, positions: [], direct: true }

function messages(rows: readonly Row[]): MessageRow[] {
  return rows.filter((row): row is MessageRow => row.type === 'message')
}

describe('rows', () => {
  it('groups what one person says within five minutes', () => {
    const rows = messages(rowsOf([message(1, 'you', 0), message(2, 'you', 1), message(3, 'me', 2), message(4, 'you', 3), message(5, 'you', 20)], [], viewer))
    expect(rows.map(({ first, last }) => [first, last])).toEqual([
      [true, false],
      [false, true],
      [true, true],
      [true, true],
      [true, true],
    ])
  })

  it('divides days in the time zone of the reader', () => {
    const items = [message(1, 'you', 0), message(2, 'you', 12 * 60 + 1), message(3, 'you', 12 * 60 + 2)]
    expect(rowsOf(items, [], viewer).map((row) => row.type)).toEqual(['day', 'message', 'day', 'message', 'message'])
    const elsewhere = { ...viewer, clock: { language: 'en', zone: 'UTC' } }
    expect(rowsOf(items, [], elsewhere).map((row) => row.type)).toEqual(['day', 'message', 'message', 'message'])
  })

  it('puts the divider before the first new message of somebody else', () => {
    const items = [message(1, 'you', 0), message(2, 'me', 1), message(3, 'you', 2), message(4, 'you', 3)]
    const rows = rowsOf(items, [], { ...viewer, unreadAfter: 1 })
    expect(rows.map((row) => row.key)).toEqual(['d:2026-11-22', 'm:you:id-1', 'm:me:id-2', 'unread', 'm:you:id-3', 'm:you:id-4'])
  })

  it('hides "created" in direct conversations only', () => {
    expect(rowsOf([notice(1, 'created', 0)], [], viewer)).toEqual([])
    expect(rowsOf([notice(1, 'created', 0)], [], { ...viewer, direct: false })).toHaveLength(2)
  })

  it('breaks groups at notices', () => {
    const rows = messages(rowsOf([message(1, 'you', 0), notice(2, 'renamed', 1), message(3, 'you', 2)], [], viewer))
    expect(rows.map(({ first, last }) => first && last)).toEqual([true, true])
  })
})

describe('the state of own messages', () => {
  const items = [message(1, 'me', 0), message(2, 'me', 1), message(3, 'me', 2), message(4, 'you', 3)]

  it('is how far somebody else has come', () => {
    const rows = messages(rowsOf(items, [], { ...viewer, positions: [{ read: 1, delivered: 2 }] }))
    expect(rows.map((row) => row.state)).toEqual(['read', 'delivered', 'sent', null])
  })

  it('counts readers', () => {
    const positions = [
      { read: 2, delivered: 4 },
      { read: 1, delivered: 4 },
      { read: 0, delivered: 0 },
    ]
    expect(messages(rowsOf(items, [], { ...viewer, positions })).map((row) => row.readers)).toEqual([2, 1, 0, 0])
  })
})

describe('unsent messages', () => {
  it('stand at the end, and keep their key when they arrive', () => {
    const before = messages(rowsOf([message(1, 'you', 0)], [pending('a')], viewer))
    expect(before.at(-1)).toMatchObject({ key: 'm:me:a', seq: 0, state: 'waiting', text: 'unsent a' })
    const after = messages(rowsOf([message(1, 'you', 0), message(2, 'me', 60, { id: 'a' })], [pending('a', { state: 'sent', seq: 2 })], viewer))
    expect(after.map((row) => row.key)).toEqual(['m:you:id-1', 'm:me:a'])
  })

  it('changes show at once, and not when they failed', () => {
    const items = [message(1, 'me', 0)]
    const edit = pending('e', { kind: 'edit', ref: 1, body: { text: 'better' } })
    expect(messages(rowsOf(items, [edit], viewer))[0]).toMatchObject({ text: 'better', edited: true, state: 'waiting' })
    expect(messages(rowsOf(items, [{ ...edit, state: 'failed' }], viewer))[0]).toMatchObject({ text: 'text 1', edited: false, state: 'failed' })
    const erase = pending('d', { kind: 'delete', ref: 1, body: {} })
    expect(messages(rowsOf(items, [edit, erase], viewer))[0]).toMatchObject({ gone: true })
  })
})

describe('answers', () => {
  const root = message(1, 'you', 0)
  const first = message(2, 'me', 1, { ref: 1, thread: 1 })
  const second = message(3, 'you', 2, { ref: 2, thread: 1 })

  it('quote what they answer, and are counted below the first message', () => {
    const rows = messages(rowsOf([root, first, second], [], viewer))
    expect(rows.map((row) => row.quote?.seq ?? null)).toEqual([null, 1, 2])
    expect(rows[0]?.replies).toEqual({ count: 2, people: ['me', 'you'], at: second.at })
    expect(rows[1]?.replies).toBeNull()
  })

  it('are counted by the server where they are not loaded', () => {
    const threads = new Map([[1, { count: 9, people: ['you'], at: DAY }]])
    expect(messages(rowsOf([root], [], { ...viewer, threads }))[0]?.replies?.count).toBe(9)
    const fewer = new Map([[1, { count: 1, people: ['you'], at: DAY }]])
    expect(messages(rowsOf([root, first, second], [], { ...viewer, threads: fewer }))[0]?.replies?.count).toBe(2)
  })

  it('do not count once they are deleted, and quote nothing', () => {
    const rows = messages(rowsOf([root, { ...first, gone: true, thread: null }], [], viewer))
    expect(rows[0]?.replies).toBeNull()
    expect(rows[1]).toMatchObject({ ref: null, quote: null })
  })

  it('quote older messages than the page', () => {
    const quoted = (seq: number): MessageItem => message(seq, 'you', 0)
    expect(messages(rowsOf([second], [], { ...viewer, quoted }))[0]?.quote).toMatchObject({ seq: 2 })
    expect(messages(rowsOf([second], [], viewer))[0]).toMatchObject({ ref: 2, quote: null })
  })

  it('in the side view of their thread quote only each other', () => {
    const rows = messages(rowsOf([root, first, second], [], { ...viewer, thread: 1 }))
    expect(rows.map((row) => row.ref)).toEqual([null, null, 2])
    expect(rows[0]?.replies).toBeNull()
  })

  it('quote also while they wait', () => {
    const waiting = pending('a', { body: { text: 'x', thread: 1 }, ref: 1 })
    expect(messages(rowsOf([root], [waiting], viewer)).at(-1)).toMatchObject({ ref: 1, quote: { seq: 1 }, thread: 1 })
  })
})

describe('a message row', () => {
  it('says whether it calls the reader', () => {
    const called = (more: Partial<MessageItem>): boolean | undefined => messages(rowsOf([message(1, 'you', 0, more)], [], viewer))[0]?.calls
    expect([called({}), called({ mentions: ['me'] }), called({ everybody: true }), called({ mentions: ['me'], gone: true })]).toEqual([false, true, true, false])
    expect(messages(rowsOf([message(1, 'me', 0, { everybody: true })], [], viewer))[0]?.calls).toBe(false)
  })

  it('shows unsent reactions, and edits with whom they call', () => {
    const items = [message(1, 'me', 0, { reactions: [{ emoji: 'a', by: 'you', seq: 2, on: true }] })]
    const react = pending('r', { kind: 'reaction', ref: 1, body: { emoji: 'a', on: true } })
    const edit = pending('e', { kind: 'edit', ref: 1, body: { text: '@you', mentions: ['you'] } })
    expect(messages(rowsOf(items, [react, edit], viewer))[0]).toMatchObject({ chips: [{ emoji: 'a', people: ['you', 'me'], own: true }], text: '@you', mentions: ['you'] })
  })

  it('is pinned unless it is gone', () => {
    const pins = new Set([1, 2])
    expect(messages(rowsOf([message(1, 'you', 0), message(2, 'you', 1, { gone: true })], [], { ...viewer, pins })).map((row) => row.pinned)).toEqual([true, false])
  })
})
