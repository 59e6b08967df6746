import type { Entry } from '@vouch/realtime'
import { describe, expect, it } from 'vitest'

import type { Conversation } from '../src/api/types'
import { isStructural, merged, silencedUntil, unreadOf, withEntry, withInfo, withRead } from '../src/chat/conversation'
import { previewOf, type PreviewContext } from '../src/chat/preview'
import { faceOf, titleOf } from '../src/chat/titles'
import { translate } from '../src/i18n'

const base: Conversation = {
  id: 'c_1',
  ch: 'conv:c_1',
  kind: 'direct',
  title: '',
  members: [
    { person: 'me', role: 'member', joined_at: 0 },
    { person: 'you', role: 'member', joined_at: 0 },
  ],
  people: [],
  closed: false,
  share_history: false,
  created_at: 0,
  version: 1,
  head: 3,
  n: 2,
  last: { seq: 3, n: 2, at: 30, by: 'you', id: 'x', kind: 'message', body: { text: 'three' } },
  active_at: 30,
  read: 3,
  read_n: 2,
  delivered: 3,
  first: 1,
  positions: [],
  everybody_by: 'members',
  pins: [],
  mentioned: [],
  notify: { level: 'all', until: null },
}

function entry(seq: number, kind: string, more: Partial<Entry> = {}): Entry {
  return { seq, n: kind === 'message' ? seq - 1 : 2, at: seq * 10, by: 'you', id: `i${seq}`, kind, body: { text: `t${seq}` }, ...more }
}

describe('a conversation', () => {
  it('counts what is unread', () => {
    const after = withEntry(base, entry(4, 'message'), 'me')
    expect(after).toMatchObject({ head: 4, n: 3, active_at: 40, last: { seq: 4 } })
    expect(unreadOf(after)).toBe(1)
    expect(unreadOf(withRead(after, 4, 3))).toBe(0)
  })

  it('takes nothing twice, and goes back for nothing', () => {
    expect(withEntry(base, entry(3, 'message'), 'me')).toBe(base)
    expect(withRead(base, 2, 1)).toBe(base)
  })

  it('shows the newest message as it was edited or deleted', () => {
    expect(withEntry(base, entry(4, 'edit', { ref: 3 }), 'me').last?.body).toMatchObject({ text: 't4' })
    expect(withEntry(base, entry(4, 'delete', { ref: 3 }), 'me').last).toMatchObject({ gone: true, body: {} })
    expect(withEntry(base, entry(4, 'edit', { ref: 2 }), 'me').last).toBe(base.last)
    expect(withEntry(base, entry(4, 'erased', { body: { person: 'you' } }), 'me').last).toMatchObject({ gone: true })
    expect(withEntry(base, entry(4, 'renamed', { body: {} }), 'me').last).toBe(base.last)
    expect(isStructural(entry(4, 'renamed'))).toBe(true)
    expect(isStructural(entry(4, 'message'))).toBe(false)
  })

  it('knows its pins, the last pinned last', () => {
    const pin = (seq: number, of: number, on: boolean): Entry => entry(seq, 'pinned', { by: 'system', body: { seq: of, on, by: 'you' } })
    const two = [pin(4, 1, true), pin(5, 2, true)].reduce((known, each) => withEntry(known, each, 'me'), base)
    expect(two.pins).toEqual([
      { seq: 1, by: 'you', at: 40 },
      { seq: 2, by: 'you', at: 50 },
    ])
    expect([pin(6, 1, true), pin(7, 2, false)].reduce((known, each) => withEntry(known, each, 'me'), two).pins).toEqual([{ seq: 1, by: 'you', at: 60 }])
  })

  it('knows which unread messages call one', () => {
    const after = (...entries: Entry[]): readonly number[] => entries.reduce((known, each) => withEntry(known, each, 'me'), base).mentioned
    const call = entry(4, 'message', { body: { text: '@me', mentions: ['me'] } })
    const all = entry(5, 'message', { body: { text: '@all', everybody: true } })
    expect(after(call, all)).toEqual([4, 5])
    expect(after({ ...call, by: 'me' }, entry(5, 'message'))).toEqual([])
    expect(after(call, entry(5, 'edit', { ref: 4, body: { text: 'never mind' } }))).toEqual([])
    expect(after(entry(4, 'message'), entry(5, 'edit', { ref: 4, body: { text: '@me', mentions: ['me'] } }))).toEqual([4])
    expect(after(call, entry(5, 'delete', { ref: 4, body: {} }))).toEqual([])
    expect(after(entry(4, 'edit', { ref: 3, body: { text: '@me', mentions: ['me'] } }))).toEqual([]) // read already
    expect(withRead(withEntry(base, call, 'me'), 4, 3).mentioned).toEqual([])
  })

  it('knows until when one is silent', () => {
    const silent = { members: [{ person: 'me', role: 'member' as const, joined_at: 0, silenced_until: 500 }] }
    expect([silencedUntil(silent, 'me', 499), silencedUntil(silent, 'me', 500), silencedUntil(silent, 'you', 0), silencedUntil(base, 'me', 0)]).toEqual([500, null, null, null])
  })

  it('believes the server, except about what it has heard later', () => {
    const ahead = withEntry(withRead(base, 3, 2), entry(4, 'message'), 'me')
    const fresh = { ...base, title: 'new', read: 1, read_n: 0 }
    expect(merged(ahead, fresh)).toMatchObject({ title: 'new', head: 4, n: 3, read: 3, read_n: 2, last: { seq: 4 } })
    expect(merged(undefined, fresh)).toBe(fresh)
    expect(merged(base, { ...base, head: 9, n: 7, read: 5, read_n: 4 })).toMatchObject({ head: 9, read: 5, read_n: 4 })
  })

  it('takes the positions of a subscription', () => {
    const info = { head: 3, n: 2, first: 2, read: 1, read_n: 1, delivered: 9, write: true, signal: true }
    expect(withInfo(base, info)).toMatchObject({ read: 3, delivered: 9, first: 2 })
  })
})

describe('its second line', () => {
  const context: PreviewContext = { t: translate, me: 'me', nameOf: (id) => id.toUpperCase(), draft: '', typing: [], pending: [], when: String }
  const unsent = { id: 'u', ch: 'conv:c_1', kind: 'message', body: { text: 'on its\nway' }, ref: null, at: 1, state: 'waiting' as const }

  it.each<[string, Conversation, Partial<PreviewContext>, object]>([
    ['the newest message', base, {}, { text: 'three', tone: 'plain', state: null }],
    ['one of several in a group', { ...base, kind: 'group' }, {}, { text: 'YOU: three' }],
    ['an own one', { ...base, last: entry(3, 'message', { by: 'me' }) }, {}, { text: 'You: t3', state: 'sent' }],
    ['a deleted one', { ...base, last: entry(3, 'message', { gone: true, body: {} }) }, {}, { text: 'Message deleted' }],
    ['nothing yet', { ...base, last: null }, {}, { text: 'No messages yet' }],
    ['nothing but its beginning', { ...base, last: entry(1, 'created', { body: { title: '' } }) }, {}, { text: 'No messages yet' }],
    ['an unsent message', base, { pending: [unsent] }, { text: 'You: on its way', state: 'waiting' }],
    ['what a message carries', { ...base, last: entry(3, 'message', { body: { media: [{ kind: 'picture', name: 'a.png' }, { kind: 'picture', name: 'b.png' }] } }) }, {}, { text: '2 pictures' }],
    ['its words without their signs', { ...base, last: entry(3, 'message', { body: { text: '**bold**\n> quote' } }) }, {}, { text: 'bold quote' }],
    ['a draft', base, { pending: [unsent], draft: 'half' }, { text: 'Draft: half', tone: 'draft' }],
    ['somebody typing', base, { draft: 'half', typing: ['you'] }, { text: 'typing …', tone: 'live' }],
  ])('tells of %s', (_what, conversation, more, expected) => {
    expect(previewOf(conversation, { ...context, ...more })).toMatchObject(expected)
  })
})

describe('its name and face', () => {
  const card = (id: string) => (id === 'you' ? { id, handle: 'you', name: 'You Name', avatar: '/a', introduction: '' } : undefined)

  it('are the other one in a direct conversation', () => {
    expect(titleOf(base, 'me', card)).toBe('You Name')
    expect(faceOf(base, 'me', card)).toEqual({ id: 'you', name: 'You Name', src: '/a', group: false })
    expect(titleOf(base, 'me', () => undefined)).toBe('Deleted account')
  })

  it('are its own in a group', () => {
    const group = { ...base, kind: 'group' as const, title: 'Club' }
    expect(titleOf(group, 'me', card)).toBe('Club')
    expect(faceOf(group, 'me', card)).toMatchObject({ id: 'c_1', group: true, src: null })
  })
})
