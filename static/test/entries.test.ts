/**
 * What the server says of a conversation before and after each kind of entry, as the real one said it: what a client has,
 * and the entries since, must come to the same – or be loaded anew.
 */
import type { Entry } from '@vouch/realtime'
import { describe, expect, it } from 'vitest'

import type { Conversation } from '../src/api/types'
import { isStructural, withEntry } from '../src/chat/conversation'
import { wordsOf } from '../src/chat/timeline'
import told from './fixtures/entries.json'

interface Case {
  readonly kind: string
  readonly before: Conversation
  readonly entries: readonly Entry[]
  readonly after: Conversation
}

const cases = told.cases as unknown as readonly Case[]

/** What entries tell; the rest is loaded. */
function known({ head, n, last, pins, mentioned }: Conversation): object {
  return {
    head,
    n,
    last: last && { seq: last.seq, kind: last.kind, by: last.by, gone: last.gone === true, words: last.kind === 'message' ? wordsOf(last.body) : last.body },
    pins: pins.map(({ seq, by }) => [seq, by]),
    mentioned,
  }
}

/** What only the server says: whoever has it wrong must load it again. */
function loaded({ title, closed, everybody_by, members }: Conversation): object {
  return { title, closed, everybody_by, members }
}

describe('a snapshot and the entries since', () => {
  it.each(cases.map((each, number) => [`${each.kind} ${number}`, each] as const))('%s', (_, { before, entries, after }) => {
    const now = entries.reduce((conversation, entry) => withEntry(conversation, entry, told.me), before)
    if (entries.some(isStructural)) {
      expect(now.head).toBe(after.head)
      return
    }
    expect(known(now)).toEqual(known(after))
    expect(loaded(now)).toEqual(loaded(after))
  })

  it('has a case for what is loaded and for what is told', () => {
    const kinds = new Set(cases.flatMap(({ entries }) => entries.map(({ kind }) => kind)))
    expect([...kinds].sort()).toEqual(['call', 'closed', 'delete', 'edit', 'erased', 'handed_over', 'joined', 'left', 'message', 'pinned', 'reaction', 'removed', 'renamed', 'reopened', 'role_changed', 'rules_changed', 'silenced'])
  })
})
