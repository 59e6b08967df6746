/** The loaded entries of the conversations that were looked at. */

import type { Entry } from '@vouch/realtime'
import { defineStore } from 'pinia'
import { shallowReactive } from 'vue'

import { follows, isModifier, reaches, type Loaded, type Snapshot } from '../chat/timeline'
import { begunAt, holds, joinedPages, NO_WINDOWS, shown, withAltered, withAside, withEarlierPage, withLaterPage, withNewest, withNext, type Windows } from '../chat/window'

/** So many conversations stay loaded; the one that was looked at longest ago makes room. */
const KEPT = 12
/** Entries of one page: those to which somebody scrolls, and half of those around a message that somebody goes to. */
const PAGE = 100
const AROUND = 40

export interface Timeline {
  /** What is shown: the newest part, or the part around a message that somebody went to. */
  readonly snapshot: Snapshot
  readonly state: 'loading' | 'ready' | 'failed'
  readonly earlier: 'idle' | 'loading' | 'failed'
  /** `none`: the newest part is shown. */
  readonly later: 'none' | 'idle' | 'loading' | 'failed'
  readonly fault: unknown
}

interface Kept extends Timeline {
  readonly windows: Windows
}

export type Range = { before?: number; after?: number; limit?: number }
type LoadPage = (range: Range) => Promise<Loaded>

const FRESH: Kept = { windows: NO_WINDOWS, snapshot: shown(NO_WINDOWS), state: 'loading', earlier: 'idle', later: 'none', fault: null }

export const useTimelines = defineStore('timelines', () => {
  /** In the order of being looked at, the latest last. */
  const byId = shallowReactive(new Map<string, Kept>())
  /** Live entries that came while the newest page was on its way. */
  const early = new Map<string, Entry[]>()
  /** For each other page that is on its way: changes that came meanwhile, and may be about its entries. */
  const late = new Map<string, Set<Entry[]>>()
  /** Only the newest page that was asked for last counts. */
  const rounds = new Map<string, number>()
  /** A reset makes all pages that are still on their way worthless. */
  const lives = new Map<string, number>()
  /** Where somebody wants to be, so that an earlier wish is forgotten. */
  const wishes = new Map<string, number>()
  const sources = new Map<string, { load: LoadPage; limit: number }>()

  function patch(id: string, change: Partial<Timeline>): void {
    const known = byId.get(id)
    if (known) byId.set(id, { ...known, ...change })
  }

  function show(id: string, windows: Windows, change: Partial<Timeline> = {}): void {
    const known = byId.get(id)
    if (!known) return
    const later = windows.aside ? 'idle' : 'none'
    byId.set(id, { ...known, windows, snapshot: shown(windows), later, ...change })
  }

  /** A page that is not the newest one, and what changed meanwhile; null when it is worth nothing any more. */
  async function fetch(id: string, load: () => Promise<Loaded>): Promise<{ page: Loaded; known: Kept; changes: readonly Entry[] } | null> {
    const life = lives.get(id)
    const changes: Entry[] = []
    const all = late.get(id) ?? new Set<Entry[]>()
    late.set(id, all.add(changes))
    try {
      const page = await load()
      const known = byId.get(id)
      return known && lives.get(id) === life ? { page, known, changes } : null
    } catch (error) {
      if (byId.has(id) && lives.get(id) === life) throw error
      return null
    } finally {
      all.delete(changes)
    }
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
      const known = byId.get(id)
      if (!known || rounds.get(id) !== round) return
      const windows = (early.get(id) ?? []).reduce(withNext, withNewest(known.windows, page))
      early.delete(id)
      show(id, windows, { state: 'ready', earlier: 'idle' })
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
    const before = byId.get(id)
    const source = sources.get(id)
    if (!source || before?.state !== 'ready' || before.earlier === 'loading' || reaches(before.snapshot, first)) return
    patch(id, { earlier: 'loading' })
    try {
      const answer = await fetch(id, () => source.load({ before: before.snapshot.low, limit: PAGE }))
      if (!answer) return
      const { page, known, changes } = answer
      // An empty page means that nothing earlier may be seen.
      const windows = page.entries.length === 0 ? begunAt(known.windows, first) : withEarlierPage(known.windows, page)
      show(id, withAltered(windows, changes), { earlier: 'idle' })
    } catch {
      patch(id, { earlier: 'failed' })
    }
  }

  async function loadLater(id: string): Promise<void> {
    const before = byId.get(id)
    const source = sources.get(id)
    if (!source || before?.state !== 'ready' || before.later === 'none' || before.later === 'loading') return
    patch(id, { later: 'loading' })
    try {
      const answer = await fetch(id, () => source.load({ after: before.snapshot.high, limit: PAGE }))
      if (answer) show(id, withAltered(withLaterPage(answer.known.windows, answer.page), answer.changes))
    } catch {
      patch(id, { later: 'failed' })
    }
  }

  /**
   * Shows the part of the log around this number, and loads it when it is not there. False: somebody wants to be
   * somewhere else by now. Throws what the loading throws; then everything stays as it was.
   */
  async function goTo(id: string, seq: number): Promise<boolean> {
    const wish = (wishes.get(id) ?? 0) + 1
    wishes.set(id, wish)
    const before = byId.get(id)
    const source = sources.get(id)
    if (!source || !before) return false
    if (holds(before.windows.newest, seq)) toNewest(id)
    else if (!before.windows.aside || !holds(before.windows.aside, seq)) {
      const answer = await fetch(id, async () => {
        const [upTo, after] = await Promise.all([source.load({ before: seq + 1, limit: AROUND }), source.load({ after: seq, limit: AROUND })])
        return joinedPages(upTo, after)
      })
      if (!answer || wishes.get(id) !== wish) return false
      show(id, withAltered(withAside(answer.known.windows, answer.page), answer.changes), { earlier: 'idle' })
    }
    return wishes.get(id) === wish
  }

  /** Back to the newest part, which has been kept up to date. */
  function toNewest(id: string): void {
    const known = byId.get(id)
    if (known?.windows.aside) show(id, { ...known.windows, aside: null }, { earlier: 'idle' })
  }

  function entry(id: string, fresh: Entry): void {
    const known = byId.get(id)
    if (!known) return
    if (isModifier(fresh) || fresh.kind === 'erased') for (const changes of late.get(id) ?? []) changes.push(fresh)
    const waiting = early.get(id)
    if (waiting) waiting.push(fresh)
    else if (known.state === 'ready' && follows(known.windows.newest, fresh)) show(id, withNext(known.windows, fresh), { later: known.later })
    else if (known.state === 'ready' && fresh.seq > known.windows.newest.high) void fill(id)
  }

  /** What is known is no longer true: load again if anybody looks, forget otherwise. */
  function reset(id: string): void {
    if (!byId.has(id)) return
    lives.set(id, (lives.get(id) ?? 0) + 1)
    show(id, NO_WINDOWS)
    void fill(id)
  }

  function drop(id: string): void {
    rounds.set(id, (rounds.get(id) ?? 0) + 1)
    lives.set(id, (lives.get(id) ?? 0) + 1)
    byId.delete(id)
    early.delete(id)
    late.delete(id)
    sources.delete(id)
  }

  function clear(): void {
    for (const id of [...byId.keys()]) drop(id)
  }

  return { get: (id: string): Timeline => byId.get(id) ?? FRESH, open, loadEarlier, loadLater, goTo, toNewest, entry, reset, retry: fill, drop, clear }
})
