import type { Entry } from '@vouch/realtime'
import { describe, expect, it } from 'vitest'

import type { Conversation } from '../src/api/types'
import { isStructural, merged, unreadOf, withEntry, withInfo, withRead } from '../src/chat/conversation'
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
}

function entry(seq: number, kind: string, more: Partial<Entry> = {}): Entry {
  return { seq, n: kind === 'message' ? seq - 1 : 2, at: seq * 10, by: 'you', id: `i${seq}`, kind, body: { text: `t${seq}` }, ...more }
}

describe('a conversation', () => {
  it('counts what is unread', () => {
    const after = withEntry(base, entry(4, 'message'))
    expect(after).toMatchObject({ head: 4, n: 3, active_at: 40, last: { seq: 4 } })
    expect(unreadOf(after)).toBe(1)
    expect(unreadOf(withRead(after, 4, 3))).toBe(0)
  })

  it('takes nothing twice, and goes back for nothing', () => {
    expect(withEntry(base, entry(3, 'message'))).toBe(base)
    expect(withRead(base, 2, 1)).toBe(base)
  })

  it('shows the newest message as it was edited or deleted', () => {
    expect(withEntry(base, entry(4, 'edit', { ref: 3 })).last?.body).toEqual({ text: 't4' })
    expect(withEntry(base, entry(4, 'delete', { ref: 3 })).last).toMatchObject({ gone: true, body: {} })
    expect(withEntry(base, entry(4, 'edit', { ref: 2 })).last).toBe(base.last)
    expect(withEntry(base, entry(4, 'erased', { body: { person: 'you' } })).last).toMatchObject({ gone: true })
    expect(withEntry(base, entry(4, 'renamed', { body: {} })).last).toBe(base.last)
    expect(isStructural(entry(4, 'renamed'))).toBe(true)
    expect(isStructural(entry(4, 'message'))).toBe(false)
  })

  it('believes the server, except about what it has heard later', () => {
    const ahead = withEntry(withRead(base, 3, 2), entry(4, 'message'))
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
  const context: PreviewContext = { t: translate, me: 'me', nameOf: (id) => id.toUpperCase(), draft: '', typing: [], pending: [] }
  const unsent = { id: 'u', ch: 'conv:c_1', kind: 'message', body: { text: 'on its\nway' }, ref: null, at: 1, state: 'waiting' as const }

  it.each<[string, Conversation, Partial<PreviewContext>, object]>([
    ['the newest message', base, {}, { text: 'three', tone: 'plain', state: null }],
    ['one of several in a group', { ...base, kind: 'group' }, {}, { text: 'YOU: three' }],
    ['an own one', { ...base, last: entry(3, 'message', { by: 'me' }) }, {}, { text: 'You: t3', state: 'sent' }],
    ['a deleted one', { ...base, last: entry(3, 'message', { gone: true, body: {} }) }, {}, { text: 'Message deleted' }],
    ['nothing yet', { ...base, last: null }, {}, { text: 'No messages yet' }],
    ['nothing but its beginning', { ...base, last: entry(1, 'created', { body: { title: '' } }) }, {}, { text: 'No messages yet' }],
    ['an unsent message', base, { pending: [unsent] }, { text: 'You: on its way', state: 'waiting' }],
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
