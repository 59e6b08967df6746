/** Messages that are quoted, pinned or answered while the page that holds them is not loaded. */

import type { Entry } from '@vouch/realtime'
import { defineStore } from 'pinia'
import { shallowReactive } from 'vue'

import { emptied, isModifier, itemOf, modified, type Loaded, type MessageItem } from '../chat/timeline'

/** So many are kept; the one that was asked for longest ago makes room. */
const KEPT = 500

type LoadPage = (range: { after?: number; limit?: number }) => Promise<Loaded>

export const useQuotes = defineStore('quotes', () => {
  /** Null: it may not be seen, or is no message. */
  const known = shallowReactive(new Map<string, MessageItem | null>())
  const asked = new Set<string>()
  const key = (conversation: string, seq: number): string => `${conversation}:${seq}`

  function keep(name: string, item: MessageItem | null): void {
    known.delete(name)
    known.set(name, item)
    for (const oldest of known.keys()) {
      if (known.size <= KEPT) break
      known.delete(oldest)
      asked.delete(oldest)
    }
  }

  /** What a page brings along: a list of pins, a thread. */
  function learn(conversation: string, entries: readonly Entry[], modifiers: readonly Entry[]): void {
    for (const entry of entries) {
      const item = itemOf(entry)
      if (item.type !== 'message') continue
      const whole = modifiers.reduce((message, each) => (each.ref === message.seq ? modified(message, each) : message), item)
      asked.add(key(conversation, entry.seq))
      keep(key(conversation, entry.seq), whole)
    }
  }

  async function load(conversation: string, seq: number, page: LoadPage): Promise<void> {
    const name = key(conversation, seq)
    try {
      const { entries, modifiers } = await page({ after: seq - 1, limit: 1 })
      if (!asked.has(name)) return // signed out, or left, meanwhile
      if (entries[0]?.seq === seq && entries[0].kind === 'message') learn(conversation, entries, modifiers ?? [])
      else keep(name, null)
    } catch {
      asked.delete(name) // asked again when somebody looks again
    }
  }

  /** Makes sure that these messages are known soon. */
  function need(conversation: string, seqs: Iterable<number>, page: LoadPage): void {
    for (const seq of seqs) {
      const name = key(conversation, seq)
      if (asked.has(name)) continue
      asked.add(name)
      void load(conversation, seq, page)
    }
  }

  /** A live entry: it may change one of these. */
  function entry(conversation: string, fresh: Entry): void {
    if (fresh.kind === 'erased') {
      for (const [name, item] of known) if (item && item.by === fresh.body['person'] && name.startsWith(`${conversation}:`)) known.set(name, emptied(item, null))
      return
    }
    if (!isModifier(fresh) || fresh.ref == null) return
    const name = key(conversation, fresh.ref)
    const item = known.get(name)
    const after = item && modified(item, fresh)
    if (after && after !== item) known.set(name, after)
  }

  function drop(conversation: string): void {
    for (const name of asked) {
      if (!name.startsWith(`${conversation}:`)) continue
      asked.delete(name)
      known.delete(name)
    }
  }

  return { get: (conversation: string, seq: number): MessageItem | null => known.get(key(conversation, seq)) ?? null, learn, need, entry, drop }
})
