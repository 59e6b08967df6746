import { describe, expect, it } from 'vitest'

import { actionsFor, mayDelete, mayPin, type Rank, type Standing } from '../src/chat/actions'
import { rowsOf, type MessageRow } from '../src/chat/rows'
import { itemOf } from '../src/chat/timeline'

function row(by: string, more: Partial<MessageRow> = {}): MessageRow {
  const item = itemOf({ seq: 3, n: 3, at: 1, by, id: 'i', kind: 'message', body: { text: 'hello' } })
  const made = rowsOf([item], [], { me: 'me', clock: { language: 'en', zone: 'UTC' }, unreadAfter: null, positions: [], direct: true }).at(-1)
  return { ...(made as MessageRow), ...more }
}

function standing(mine: Rank | null, theirs: Rank | null, more: Partial<Standing> = {}): Standing {
  return { me: 'me', group: true, writable: true, inThread: false, rankOf: (person) => (person === 'me' ? mine : theirs), ...more }
}

describe('what may be done with a message', () => {
  it.each<[Rank | null, Rank | null, boolean]>([
    ['owner', 'admin', true],
    ['admin', 'member', true],
    ['admin', null, true],
    ['admin', 'admin', false],
    ['admin', 'owner', false],
    ['member', 'member', false],
    ['member', null, false],
    [null, 'member', false],
  ])('%s removes words of %s: %s', (mine, theirs, may) => {
    expect(mayDelete(row('you'), standing(mine, theirs))).toBe(may)
    expect(mayDelete(row('you'), standing(mine, theirs, { group: false }))).toBe(false)
  })

  it('pins: both of a direct conversation, in groups those who lead', () => {
    expect([mayPin(standing('member', 'owner')), mayPin(standing('admin', 'owner')), mayPin(standing('member', 'member', { group: false }))]).toEqual([false, true, true])
    expect(mayPin(standing('owner', 'member', { writable: false }))).toBe(false)
  })

  it('is offered in order', () => {
    expect(actionsFor(row('me', { edited: true }), standing('owner', 'member'))).toEqual(['reply', 'react', 'copy', 'link', 'forward', 'select', 'pin', 'edit', 'versions', 'readers', 'delete'])
    expect(actionsFor(row('you', { pinned: true, thread: 1 }), standing('member', 'member', { group: false }))).toEqual(['reply', 'react', 'thread', 'copy', 'link', 'forward', 'select', 'unpin', 'report'])
  })

  it('is little with what is gone, unsent, closed or somebody else’s', () => {
    expect(actionsFor(row('me', { gone: true }), standing('owner', 'member'))).toEqual([])
    expect(actionsFor(row('me', { gone: true, replies: { count: 1, people: ['you'], at: 1 } }), standing('owner', 'member'))).toEqual(['thread'])
    expect(actionsFor(row('me', { seq: 0 }), standing('owner', 'member'))).toEqual(['copy'])
    expect(actionsFor(row('me'), standing('owner', 'member', { writable: false }))).toEqual(['copy', 'link', 'forward', 'select', 'readers'])
    // Nobody puts words into the mouth of others.
    expect(actionsFor(row('me', { forwarded: { by: 'you', at: 1 } }), standing('owner', 'member'))).not.toContain('edit')
  })
})
