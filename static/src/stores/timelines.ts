/** The loaded entries of the conversations that were looked at. */

import type { Entry } from '@vouch/realtime'
import { defineStore } from 'pinia'
import { shallowReactive } from 'vue'

import { follows, isModifier, NOTHING, opened, reaches, withEarlier, withEntry, type Loaded, type Snapshot } from '../chat/timeline'

/** So many conversations stay loaded; the one that was looked at longest ago makes room. */
const KEPT = 12

export interface Timeline {
  readonly snapshot: Snapshot
  readonly state: 'loading' | 'ready' | 'failed'
  readonly earlier: 'idle' | 'loading' | 'failed'
  readonly fault: unknown
}

type LoadPage = (range: { before?: number; limit?: number }) => Promise<Loaded>

const FRESH: Timeline = { snapshot: NOTHING, state: 'loading', earlier: 'idle', fault: null }

export const useTimelines = defineStore('timelines', () => {
  /** In the order of being looked at, the latest last. */
  const byId = shallowReactive(new Map<string, Timeline>())
  /** Live entries that came while the newest page was on its way. */
  const early = new Map<string, Entry[]>()
  /** Changes that came while an earlier page was on its way: they may be about its entries. */
  const late = new Map<string, Entry[]>()
  /** A reset makes answers that are still on their way worthless. */
  const rounds = new Map<string, number>()
  const sources = new Map<string, { load: LoadPage; limit: number }>()

  function patch(id: string, change: Partial<Timeline>): void {
    const known = byId.get(id)
    if (known) byId.set(id, { ...known, ...change })
  }

  async function fill(id: string): Promise<void> {
    const source = sources.get(id)
    if (!source) return
    const round = (rounds.get(id) ?? 0) + 1
    rounds.set(id, round)
    early.set(id, [])
    patch(id, { state: 'loading', fault: null })
    try {
      const page = await source.load({ limit: source.limit })
      if (rounds.get(id) !== round) return
      let snapshot = opened(page)
      for (const entry of early.get(id) ?? []) snapshot = withEntry(snapshot, entry)
      early.delete(id)
      patch(id, { snapshot, state: 'ready', earlier: 'idle' })
    } catch (error) {
      if (rounds.get(id) !== round) return
      early.delete(id)
      patch(id, { state: 'failed', fault: error })
    }
  }

  /** Loads the newest page unless it is there. `limit`: how many entries, at most 200. */
  async function open(id: string, load: LoadPage, limit: number): Promise<void> {
    sources.set(id, { load, limit })
    const known = byId.get(id)
    if (known) {
      byId.delete(id) // to the end of the order
      byId.set(id, known)
      if (known.state !== 'failed') return
    } else {
      byId.set(id, FRESH)
      for (const oldest of byId.keys()) {
        if (byId.size <= KEPT) break
        drop(oldest)
      }
    }
    await fill(id)
  }

  async function loadEarlier(id: string, first: number): Promise<void> {
    const known = byId.get(id)
    const source = sources.get(id)
    if (!source || known?.state !== 'ready' || known.earlier === 'loading' || reaches(known.snapshot, first)) return
    const round = rounds.get(id)
    patch(id, { earlier: 'loading' })
    late.set(id, [])
    try {
      const page = await source.load({ before: known.snapshot.low, limit: 50 })
      const now = byId.get(id)
      if (!now || rounds.get(id) !== round) return
      // An empty page means that nothing earlier may be seen.
      const modifiers = [...(page.modifiers ?? []), ...(late.get(id) ?? [])]
      const snapshot = page.entries.length === 0 ? { ...now.snapshot, low: Math.max(1, first) } : withEarlier(now.snapshot, { ...page, modifiers })
      patch(id, { snapshot, earlier: 'idle' })
    } catch {
      if (rounds.get(id) === round) patch(id, { earlier: 'failed' })
    }
  }

  function entry(id: string, fresh: Entry): void {
    const known = byId.get(id)
    if (!known) return
    if (known.earlier === 'loading' && (isModifier(fresh) || fresh.kind === 'erased')) late.get(id)?.push(fresh)
    const waiting = early.get(id)
    if (waiting) waiting.push(fresh)
    else if (known.state === 'ready' && follows(known.snapshot, fresh)) patch(id, { snapshot: withEntry(known.snapshot, fresh) })
    else if (known.state === 'ready' && fresh.seq > known.snapshot.high) void fill(id)
  }

  /** What is known is no longer true: load again if anybody looks, forget otherwise. */
  function reset(id: string): void {
    if (!byId.has(id)) return
    patch(id, { snapshot: NOTHING })
    void fill(id)
  }

  function drop(id: string): void {
    rounds.set(id, (rounds.get(id) ?? 0) + 1)
    byId.delete(id)
    early.delete(id)
    late.delete(id)
    sources.delete(id)
  }

  function clear(): void {
    for (const id of [...byId.keys()]) drop(id)
  }

  return { get: (id: string): Timeline => byId.get(id) ?? FRESH, open, loadEarlier, entry, reset, retry: fill, drop, clear }
})
